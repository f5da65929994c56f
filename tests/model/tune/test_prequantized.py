"""Bases whose files hold quantised weights already."""

from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM

from tunesmith.errors import UserError
from tunesmith.model.export.save import export_model
from tunesmith.model.tune.apply import apply_tune
from tunesmith.model.tune.prequantized import refuse_stored, stored_bits
from tunesmith.model.tune.quantize import has_quantized
from tunesmith.recipe.schema.tune import Lora, Tune
from tunesmith.recipe.tasks.language import CAUSAL_LM

needs_library = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs bitsandbytes")
AUTO = CAUSAL_LM


def config(**settings) -> SimpleNamespace:
    return SimpleNamespace(quantization_config=settings or None)


@pytest.mark.parametrize("method", ["gptq", "awq", "fp8", "mxfp4", "compressed-tensors", "torchao", ""])
def test_weights_of_other_libraries_are_refused(method) -> None:
    with pytest.raises(UserError, match="stored quantised by") as caught:
        stored_bits(config(quant_method=method, bits=4))
    assert "original weights" in caught.value.hint


def test_plain_weights_are_none() -> None:
    assert stored_bits(config()) is None
    assert stored_bits(SimpleNamespace()) is None


def recipe(*, lora: bool, quantize: str | None = None) -> SimpleNamespace:
    model = SimpleNamespace(source="./base", quantize=quantize)
    return SimpleNamespace(model=model, tune=SimpleNamespace(lora=Lora(rank=2) if lora else None))


@needs_library
@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (recipe(lora=False), "stored in 4 bits, which cannot learn"),
        (recipe(lora=True, quantize="4bit"), "stored in 4 bits already"),
    ],
)
def test_what_stored_bits_cannot_is_refused(wanted, words) -> None:
    stored = config(quant_method="bitsandbytes", load_in_4bit=True)
    with pytest.raises(UserError, match=words):
        refuse_stored(stored, wanted)
    refuse_stored(stored, recipe(lora=True))
    refuse_stored(config(), wanted)


@needs_library
@pytest.mark.parametrize("bits", [4, 8])
def test_adapters_over_stored_bits_merge_into_what_was_trained(tiny, tokenizer, tmp_path, bits) -> None:
    from transformers import BitsAndBytesConfig

    tiny.make("llama", hidden_size=64, intermediate_size=64).save_pretrained(tmp_path / "plain")
    settings = (
        {"load_in_4bit": True, "bnb_4bit_compute_dtype": torch.bfloat16}
        if bits == 4
        else {"load_in_8bit": True}
    )
    small = AutoModelForCausalLM.from_pretrained(
        tmp_path / "plain", quantization_config=BitsAndBytesConfig(**settings)
    )
    small.save_pretrained(tmp_path / "base")
    model, fresh = tiny.reopen(tmp_path / "base", tiny.language)
    assert has_quantized(model)
    tune = Tune(lora=Lora(rank=2))
    model = apply_tune(model, tune, task=AUTO, fresh=fresh, dtype=torch.float32).model.eval()
    tiny.wake(model)
    with torch.no_grad():
        before = model(input_ids=tiny.ids).logits
    export_model(model, tokenizer, tmp_path / "model", card="", dtype=torch.float32, merge=True)
    opened = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    assert not has_quantized(opened)
    with torch.no_grad():
        found = opened(input_ids=tiny.ids).logits
    assert (found - before).abs().max() < (1e-3 if bits == 4 else 0.2)

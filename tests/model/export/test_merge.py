"""Adapters made part of weights that two layers share."""

import copy

import pytest
import torch
from peft.tuners.lora.layer import Linear, LoraLayer
from transformers import AutoModelForCausalLM

from tunesmith.model.export.merge import merged
from tunesmith.model.export.save import export_model
from tunesmith.model.tune.apply import apply_tune
from tunesmith.recipe.schema.tune import Lora, Tune
from tunesmith.recipe.tasks.language import CAUSAL_LM

AUTO = CAUSAL_LM


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize(
    ("targets", "saved"),
    [(("lm_head",), ()), (("lm_head",), ("embed",)), ("all-linear", ("embed", "lm_head"))],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_adapter_on_an_output_layer_that_is_the_embedding(
    tiny, tokenizer, tmp_path, kind, targets, saved, dtype
) -> None:
    tiny.make(kind, tie_word_embeddings=True).save_pretrained(tmp_path / "base")
    model, fresh = tiny.reopen(tmp_path / "base", tiny.language)
    name = {"llama": "embed_tokens", "gpt2": "wte"}[kind]
    tune = Tune(
        lora=Lora(rank=2, targets=targets), save_modules=tuple(s.replace("embed", name) for s in saved)
    )
    model = apply_tune(model, tune, task=AUTO, fresh=fresh, dtype=torch.float32).model.eval()
    tiny.wake(model)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "modules_to_save" in key:
                parameter.add_(torch.randn_like(parameter) * 0.1)
        before = model(input_ids=tiny.ids).logits
    export_model(model, tokenizer, tmp_path / "model", card="", dtype=dtype, merge=True)
    opened = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32).eval()
    with torch.no_grad():
        found = opened(input_ids=tiny.ids).logits
    near = 1e-4 if dtype == torch.float32 else 0.1
    torch.testing.assert_close(found, before, atol=near, rtol=near)
    assert not opened.config.tie_word_embeddings


def test_what_is_tied_and_not_adapted_stays_tied(tiny, tokenizer, tmp_path) -> None:
    tiny.make("llama", tie_word_embeddings=True).save_pretrained(tmp_path / "base")
    model, fresh = tiny.reopen(tmp_path / "base", tiny.language)
    tune = Tune(lora=Lora(rank=2))
    model = apply_tune(model, tune, task=AUTO, fresh=fresh, dtype=torch.float32).model
    export_model(model, tokenizer, tmp_path / "model", card="", dtype=torch.float32, merge=True)
    opened = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert opened.config.tie_word_embeddings
    assert opened.lm_head.weight is opened.model.embed_tokens.weight


@pytest.mark.parametrize("dora", [False, True])
def test_layer_after_layer_gives_the_bits_of_the_whole_in_float32(tiny, tmp_path, monkeypatch, dora) -> None:
    """And no two layers are wide at once."""
    tiny.make("llama").bfloat16().save_pretrained(tmp_path / "base")
    model, fresh = tiny.reopen(tmp_path / "base", tiny.language)
    tune = Tune(lora=Lora(rank=2, dora=dora))
    model = apply_tune(model.bfloat16(), tune, task=AUTO, fresh=fresh, dtype=torch.bfloat16).model
    tiny.wake(model)
    whole = copy.deepcopy(model).float().merge_and_unload().bfloat16().state_dict()
    wide = []

    def counted(layer, *arguments, **options):
        bases = [one.base_layer for one in model.modules() if isinstance(one, LoraLayer)]
        wide.append(sum(base.weight.dtype == torch.float32 for base in bases))
        return merge(layer, *arguments, **options)

    merge = Linear.merge
    monkeypatch.setattr(Linear, "merge", counted)
    found = merged(model, torch.bfloat16).state_dict()
    assert max(wide) == 1
    assert list(found) == list(whole)
    assert all(
        torch.equal(found[name], value) and found[name].dtype == value.dtype for name, value in whole.items()
    )

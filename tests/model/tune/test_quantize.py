"""Weights in 4 and 8 bits with adapters over them, computed for real by bitsandbytes on the processor."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tunesmith.errors import UserError
from tunesmith.model.export.save import export_model
from tunesmith.model.tune.apply import apply_tune
from tunesmith.model.tune.lora import add_adapters
from tunesmith.model.tune.quantize import (
    has_quantized,
    is_quantized,
    quantize_frozen,
    refuse_sharded,
    refuse_trained,
    true_size,
)
from tunesmith.recipe.schema.tune import Lora, Tune
from tunesmith.recipe.tasks.language import CAUSAL_LM

needs_library = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="skipped: no bitsandbytes"
)
KINDS = ("4bit", "8bit")
IDS = torch.arange(3, 67).reshape(2, 32) % 60


def tiny(dtype: torch.dtype = torch.float32):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config).to(dtype)


def tuned(kind: str, dtype: torch.dtype = torch.float32, **lora):
    model = tiny(dtype)
    quantize_frozen(model, kind, dtype)
    torch.manual_seed(1)
    tune = Tune(lora=Lora(rank=4, **lora))
    return apply_tune(model, tune, task=CAUSAL_LM, fresh=frozenset(), dtype=dtype)


def train(model, steps: int = 15, dtype: torch.dtype = torch.float32) -> list[float]:
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=2e-2)
    losses = []
    for _ in range(steps):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = model(input_ids=IDS, labels=IDS).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=IDS).logits.float()


@needs_library
@pytest.mark.parametrize("kind", KINDS)
def test_every_linear_layer_but_the_head_is_quantised(kind: str) -> None:
    plain, model = tiny(), tiny()
    count = quantize_frozen(model, kind, torch.float32)
    assert count == 2 * 7
    assert not is_quantized(model.lm_head)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    held = {
        name: parameter for name, parameter in model.named_parameters() if not parameter.is_floating_point()
    }
    assert len(held) == count
    for name, parameter in held.items():
        weight = plain.get_parameter(name)
        assert true_size(parameter) == weight.numel()
        stored = parameter.numel() * parameter.element_size()
        assert stored == weight.numel() // (2 if kind == "4bit" else 1)
    # The model still computes about the same.
    near = torch.nn.functional.cosine_similarity(logits(model), logits(plain), dim=-1).mean()
    assert near > (0.97 if kind == "4bit" else 0.999)


@needs_library
@pytest.mark.parametrize(
    ("kind", "lora"),
    [
        ("4bit", {}),
        ("4bit", {"dora": True}),
        ("4bit", {"dropout": 0.1}),
        ("8bit", {}),
        ("8bit", {"dropout": 0.1}),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_adapters_learn_over_them_and_nothing_else_moves(kind: str, dtype: torch.dtype, lora: dict) -> None:
    made = tuned(kind, dtype, **lora)
    assert all("lora_" in name for name in made.trained)
    frozen = {n: p.detach().clone() for n, p in made.model.named_parameters() if n not in made.trained}
    losses = train(made.model, dtype=dtype)
    assert losses[-1] < losses[0] - 0.1, losses
    for name, parameter in made.model.named_parameters():
        assert name in made.trained or torch.equal(parameter, frozen[name]), name
    # Marks of transformers would make Accelerate refuse to spread the model.
    assert not getattr(made.model, "is_loaded_in_4bit", False)
    assert not getattr(made.model, "is_quantized", False)


class Processor(SimpleNamespace):
    def save_pretrained(self, folder: Path) -> None:
        pass


@needs_library
@pytest.mark.parametrize(
    ("kind", "lora"), [("4bit", {}), ("4bit", {"dora": True}), ("8bit", {}), ("8bit", {"rslora": True})]
)
def test_the_merged_model_is_what_was_trained(kind: str, lora: dict, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = tuned(kind, **lora).model
    train(model)
    expected = logits(model)
    processor = Processor(eos_token_id=2, chat_template=None)
    options = {"card": "", "dtype": torch.float32, "merge": True}
    export_model(model, processor, tmp_path / "model", **options)
    opened = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert not has_quantized(opened)
    assert getattr(opened.config, "quantization_config", None) is None
    # 4 bits: the very sum. 8 bits: the library also rounds what comes in, to 8 bits.
    difference = (logits(opened) - expected).abs().max()
    assert difference < (2e-4 if kind == "4bit" else 0.1), difference


@needs_library
def test_looking_changes_neither_the_weights_nor_the_arithmetic() -> None:
    """On processors with AVX-512 BF16 the library would repack the weights in the first evaluation."""
    model = tuned("4bit").model
    layers = [module for module in model.modules() if is_quantized(module)]
    before = [layer.weight.data.clone() for layer in layers]
    with torch.no_grad():
        found = [model.train(training)(input_ids=IDS).logits for training in (True, False, True)]
    for one in found[1:]:
        torch.testing.assert_close(one, found[0], rtol=1e-6, atol=1e-6)
    for layer, weight in zip(layers, before, strict=True):
        assert torch.equal(layer.weight.data, weight)


@needs_library
@pytest.mark.parametrize("kind", KINDS)
def test_the_adapter_opens_with_plain_peft(kind: str, tmp_path: Path) -> None:
    from peft import PeftModel

    model = tuned(kind).model
    train(model)
    options = {"card": "", "dtype": torch.float32, "merge": False}
    export_model(model, Processor(), tmp_path / "model", **options)
    opened = PeftModel.from_pretrained(tiny(), tmp_path / "model")
    near = torch.nn.functional.cosine_similarity(logits(opened), logits(model), dim=-1).mean()
    assert near > 0.95
    assert not (tmp_path / "adapter").exists()


@needs_library
def test_a_quantised_module_cannot_be_trained_whole() -> None:
    model = tiny()
    quantize_frozen(model, "4bit", torch.float32)
    with pytest.raises(UserError) as caught:
        refuse_trained(model, ["mlp"])
    assert "`tune.save_modules` names `mlp`" in caught.value.what
    refuse_trained(model, ["lm_head", "embed_tokens"])
    with pytest.raises(UserError):
        add_adapters(model, Lora(rank=2), task=CAUSAL_LM, whole=["down_proj"], fresh=frozenset())


@needs_library
def test_a_model_without_linear_layers_is_named() -> None:
    with pytest.raises(UserError) as caught:
        quantize_frozen(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3)), "4bit", torch.float32)
    assert "no linear layer" in caught.value.what


@pytest.mark.parametrize(("stage", "refused"), [(0, False), (1, False), (2, False), (3, True)])
def test_sharded_weights_cannot_be_quantised(stage: int, refused: bool) -> None:
    refuse_sharded(None, stage)
    if not refused:
        refuse_sharded("4bit", stage)
        return
    with pytest.raises(UserError) as caught:
        refuse_sharded("4bit", stage)
    assert "node_zero2" in caught.value.hint


def test_without_the_library_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['bitsandbytes'] = None\n"
        "from tunesmith.cli.main import command_line\n"
        "sys.exit(command_line(['run', 'recipes/smoke/causal-lm.yaml', 'model.quantize=4bit', "
        "'tune.lora.rank=4', 'run.dir=' + sys.argv[1]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "/nowhere/run"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    assert "tunesmith[quantized]" in done.stderr
    assert "Traceback" not in done.stderr

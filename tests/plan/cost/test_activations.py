"""The formulas for activations, held against the tensors that torch really saves."""

import contextlib
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

from tunesmith.model.tune.apply import apply_tune, needs_autocast
from tunesmith.plan.cost.activations import Numbers, Pass, block_bytes, kept_bytes, logit_bytes
from tunesmith.plan.cost.dimensions import Dimensions, dimensions_of
from tunesmith.recipe.schema.tune import LayerRange, Lora, Tune
from tunesmith.recipe.tasks.language import CAUSAL_LM
from tunesmith.recipe.tasks.text import SEQUENCE_CLASSIFICATION
from tunesmith.tasks.language.packing import pack

DECODER = {
    "hidden_size": 64,
    "intermediate_size": 200,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 640,
    "tie_word_embeddings": True,
}
GPT2 = {"n_embd": 64, "n_inner": 200, "n_layer": 4, "n_head": 4, "vocab_size": 640}
STILL = {"resid_pdrop": 0.0, "attn_pdrop": 0.0, "embd_pdrop": 0.0}
BERT = {
    "hidden_size": 64,
    "intermediate_size": 200,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "vocab_size": 640,
}
CALM = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
FLOAT, BFLOAT = torch.float32, torch.bfloat16
CASES: dict[str, tuple[str, dict[str, Any], Tune, torch.dtype, bool]] = {
    "llama": ("llama", DECODER, Tune(), FLOAT, False),
    "llama lora": ("llama", DECODER, Tune(lora=Lora(rank=8)), FLOAT, False),
    "llama bfloat16": ("llama", DECODER, Tune(), BFLOAT, False),
    "llama lora bfloat16": ("llama", DECODER, Tune(lora=Lora(rank=8)), BFLOAT, False),
    "llama last block": ("llama", DECODER, Tune(layers=LayerRange(last=1)), FLOAT, False),
    "qwen3": ("qwen3", {**DECODER, "head_dim": 24}, Tune(), FLOAT, False),
    "qwen3 lora bfloat16": ("qwen3", {**DECODER, "head_dim": 24}, Tune(lora=Lora(rank=8)), BFLOAT, False),
    "gpt2": ("gpt2", {**GPT2, **STILL}, Tune(), FLOAT, False),
    "gpt2 dropout": ("gpt2", GPT2, Tune(), FLOAT, False),
    "bert": ("bert", {**BERT, **CALM}, Tune(), FLOAT, False),
    "bert dropout": ("bert", BERT, Tune(), FLOAT, False),
    "bert lora": ("bert", BERT, Tune(lora=Lora(rank=8)), FLOAT, False),
}  # fmt: skip
ROWS, LENGTH = 4, 12


def _saved(
    kind: str, values: dict[str, Any], tune: Tune, dtype: torch.dtype, again: bool
) -> tuple[float, Pass]:
    """Bytes that a forward pass keeps, weights and their casts aside, and what went through."""
    torch.manual_seed(0)
    config, causal = AutoConfig.for_model(kind, **values), kind != "bert"
    auto = AutoModelForCausalLM if causal else AutoModelForSequenceClassification
    model = auto.from_config(config, attn_implementation="sdpa")
    fresh = frozenset(n for n, _ in model.named_parameters() if "classifier" in n)
    model = apply_tune(
        model, tune, task=CAUSAL_LM if causal else SEQUENCE_CLASSIFICATION, fresh=fresh, dtype=dtype
    ).model.train()
    if again:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    shapes = {tuple(p.shape)[::step] for p in model.parameters() for step in (1, -1)}
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in weights and tuple(tensor.shape) not in shapes:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    cast = torch.autocast("cpu", dtype) if needs_autocast(model, dtype) else contextlib.nullcontext()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), cast:
        work = _pass_through(model, causal)
    return float(sum(each.untyped_storage().nbytes() for each in kept.values())), work


def _pass_through(model: Any, causal: bool) -> Pass:
    ids = [[(7 * row + 3 * i + row * row * i) % 640 for i in range(LENGTH)] for row in range(ROWS)]
    if not causal:
        mask = torch.ones(ROWS, LENGTH, dtype=torch.long)
        mask[0, 7:] = 0
        model(input_ids=torch.tensor(ids), attention_mask=mask)
        return Pass(tokens=ROWS * LENGTH, rows=ROWS, supervised=0)
    batch = pack(ids, [[0] * (LENGTH - 4) + [1] * 4] * ROWS)
    logits = model(
        input_ids=batch.input_ids,
        position_ids=batch.position_ids,
        attention_mask=batch.attention_mask,
        logits_to_keep=batch.keep,
        use_cache=False,
    ).logits[0]
    F.cross_entropy(logits.float(), batch.labels, reduction="sum")
    return Pass(tokens=batch.input_ids.shape[1], rows=1, supervised=len(batch.labels))


def _numbers(tune: Tune, dtype: torch.dtype) -> Numbers:
    lora = tune.lora is not None
    rank = tune.lora.rank if tune.lora else 0
    return Numbers(narrow=dtype.itemsize, autocast=dtype != FLOAT and not lora, lora=lora, rank=rank)


@pytest.mark.parametrize("name", CASES)
def test_the_formula_counts_what_torch_saves(name: str) -> None:
    kind, values, tune, dtype, again = CASES[name]
    measured, work = _saved(kind, values, tune, dtype, again)
    dim = dimensions_of(AutoConfig.for_model(kind, **values).to_dict())
    assert dim is not None
    learning = 1 if tune.layers is not None else dim.blocks
    numbers = _numbers(tune, dtype)
    kept = kept_bytes(dim, numbers, work, learning_blocks=learning, checkpointing=False)
    # Of the logits' 12 bytes, the backward pass finds the 4 of the log-probabilities saved.
    assert kept + logit_bytes(dim, work) / 3 == pytest.approx(measured, rel=0.08)


def test_recomputation_keeps_a_row_for_each_block() -> None:
    measured, work = _saved("llama", DECODER, Tune(), FLOAT, True)
    dim = dimensions_of({"model_type": "llama", **DECODER})
    assert dim is not None
    numbers = _numbers(Tune(), FLOAT)
    kept = kept_bytes(dim, numbers, work, learning_blocks=dim.blocks, checkpointing=True)
    # The block that is computed again comes later, in the backward pass.
    expected = kept - block_bytes(dim, numbers, work) + logit_bytes(dim, work) / 3
    assert expected == pytest.approx(measured, rel=0.08)


DIM = Dimensions(
    kind="decoder",
    hidden=4096,
    intermediate=14336,
    blocks=32,
    heads=32,
    kv_heads=8,
    head_width=128,
    vocabulary=128256,
)
PLAIN = Numbers(narrow=2, autocast=True, lora=False)
WORK = Pass(tokens=2048, rows=1, supervised=100)


def test_frozen_blocks_below_keep_nothing() -> None:
    assert kept_bytes(DIM, PLAIN, WORK, learning_blocks=0, checkpointing=False) == 0
    half = kept_bytes(DIM, PLAIN, WORK, learning_blocks=16, checkpointing=False)
    whole = kept_bytes(DIM, PLAIN, WORK, learning_blocks=32, checkpointing=False)
    assert whole == pytest.approx(2 * half, rel=0.01)


def test_only_supervised_positions_have_logits() -> None:
    assert logit_bytes(DIM, WORK) == 12 * 100 * 128256


def test_dropout_without_a_fused_kernel_keeps_the_probabilities() -> None:
    dropped = replace(DIM, dropout=0.1)
    long = Pass(tokens=4096, rows=1, supervised=1)
    written_out = block_bytes(dropped, PLAIN, long)
    fused = block_bytes(dropped, replace(PLAIN, fused_attention=True), long)
    assert written_out - fused > 2 * 4 * 32 * 4096**2

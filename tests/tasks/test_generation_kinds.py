"""Greedy generation by models of other kinds, and where a model's positions end."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tunesmith.tasks.language.generation import generate

OPENING = list(range(20, 30))
PROMPTS = [[5], [*OPENING, 7, 8, 9], [*OPENING, 4], [11, 12, 13], OPENING + list(range(40, 60))]
SIZES = {
    "vocab_size": 100,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "n_layer": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "n_head": 4,
    "head_dim": 8,
    "initializer_range": 0.4,
    "max_position_embeddings": 128,
}
ENDS = {"pad_token_id": 0, "bos_token_id": None, "eos_token_id": None}


def make(kind: str, **settings):
    bare = AutoConfig.for_model(kind)
    known = {name: value for name, value in SIZES.items() if hasattr(bare, name)}
    torch.manual_seed(6)
    config = AutoConfig.for_model(kind, **{**known, **ENDS, **settings})
    return AutoModelForCausalLM.from_config(config).eval()


def alone(model, prompt, most):
    ids = torch.tensor([prompt])
    told = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=most)
    return told[0, len(prompt) :].tolist()


def ours(model, prompts, most, ends=()):
    return generate(model, prompts, end_tokens=ends, pad_token=0, max_new_tokens=most, batch_size=3)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("mamba", {}),  # a state instead of keys and values
        ("bloom", {}),  # distances instead of positions
        ("mistral", {"sliding_window": 6}),
        ("gemma3_text", {"sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"]}),
        ("qwen2", {"use_sliding_window": False}),
    ],
)
def test_other_kinds_of_models(kind, settings) -> None:
    model = make(kind, **settings)
    wanted = [alone(model, prompt, 8) for prompt in PROMPTS]
    assert len({tuple(row) for row in wanted}) > 1
    assert ours(model, PROMPTS, 8) == wanted
    ends = (wanted[0][3], wanted[1][0])
    cut = [next((row[:i] for i, token in enumerate(row) if token in ends), row) for row in wanted]
    assert ours(model, PROMPTS, 8, ends) == cut


@pytest.mark.parametrize(("kind", "limit"), [("gpt2", {"max_position_embeddings": 16}), ("bloom", {})])
def test_an_answer_ends_where_the_positions_do(kind, limit) -> None:
    """A prompt that fills all positions can still be answered with one token, but not with two."""
    model = make(kind, **limit)
    most = 16 if kind == "gpt2" else None
    prompts = [list(range(20, 20 + length)) for length in (16, 12, 3)]
    found = ours(model, prompts, 8)
    assert [len(row) for row in found] == ([1, 5, 8] if most else [8, 8, 8])
    for prompt, row in zip(prompts, found, strict=True):
        for index in range(len(row)):
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([prompt + row[:index]])).logits[0, -1]
            assert row[index] == int(logits.argmax())


def test_with_adapters_around_the_model() -> None:
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(make("llama"), LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    torch.nn.init.normal_(model.base_model.model.model.layers[0].self_attn.q_proj.lora_B["default"].weight)
    model.eval()
    assert ours(model, PROMPTS, 6) == [alone(model, prompt, 6) for prompt in PROMPTS]

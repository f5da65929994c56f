"""Attention block by block is attention of the whole packed row."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from tunesmith.model.tune import block_attention as blocks
from tunesmith.model.tune.block_attention import block_attention, blocks_of
from tunesmith.tasks.language.packing import pack

LAYER = SimpleNamespace(is_causal=True, training=False, num_key_value_groups=2)


@st.composite
def packed_rows(draw):
    """Rows of examples, with an opening in the row, in a cache, or none."""
    opening = draw(st.sampled_from([0, 4, 7]))
    lengths = draw(st.lists(st.integers(2, 9), min_size=2, max_size=6))
    sequences = [
        [*range(100, 100 + opening), *range(n * 10, n * 10 + size)] for n, size in enumerate(lengths)
    ]
    marks = [[0] * (len(ids) - 1) + [1] for ids in sequences]
    return opening, pack(sequences, marks, cached=opening if opening and draw(st.booleans()) else None)


@settings(max_examples=60, deadline=None)
@given(packed=packed_rows(), width=st.integers(1, 12), seed=st.integers(0, 9))
def test_blocks_give_what_the_whole_row_gives_and_its_gradients(packed, width, seed):
    opening, row = packed
    tokens, columns = row.attention_mask.shape[-2:]
    draw = torch.Generator().manual_seed(seed)
    shapes = [(1, 4, tokens, 8), (1, 2, columns, 8), (1, 2, columns, 8)]
    parts = [torch.randn(shape, generator=draw, requires_grad=True) for shape in shapes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(blocks.WIDTH, "cpu", width)
        cut = blocks_of(row.starts.tolist(), tokens, "cpu")
    found, _ = block_attention(LAYER, *parts, row.attention_mask, blocks=cut, opening=opening, scaling=0.5)
    wanted, _ = sdpa_attention_forward(LAYER, *parts, row.attention_mask, scaling=0.5)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    weights = torch.randn(wanted.shape, generator=draw)
    gradients = [torch.autograd.grad((one * weights).sum(), parts) for one in (found, wanted)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=20),
    opening=st.integers(0, 30),
    width=st.integers(1, 64),
)
def test_blocks_hold_whole_examples_and_are_as_wide_as_pays(lengths, opening, width):
    starts = [opening + sum(lengths[:n]) for n in range(len(lengths))]
    tokens = opening + sum(lengths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(blocks.WIDTH, "cpu", width)
        cut = blocks_of(starts, tokens, "cpu")
    assert [begin for begin, _ in cut] == [0, *(end for _, end in cut[:-1])]
    assert cut[-1][1] == tokens
    assert {end for _, end in cut} <= {*starts[1:], tokens}
    assert all(end - begin >= width for begin, end in cut[:-1])
    assert len(cut) == 1 or all(end - begin < width + max(lengths) + opening for begin, end in cut)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_a_model_attends_in_blocks_and_scores_alike(models, task, conversation, monkeypatch, name):
    called = []

    def counted(module, query, *rest, **others):
        called.append(query.shape[2])
        return sdpa_attention_forward(module, query, *rest, **others)

    where = "transformers.integrations.sdpa_attention.sdpa_attention_forward"
    monkeypatch.setattr(where, counted)
    talks = [
        ("the moon?", "orange"),
        ("the sun?", "a lion"),
        ("silly putty?", "who knows"),
        ("two?", "x y z"),
    ]
    made, model = task(tokens_per_pass=60), models[name].eval()
    examples = [made.encode(conversation(*talk)) for talk in talks]
    seen = []
    for width in (10_000, 1):
        called.clear()
        monkeypatch.setitem(blocks.WIDTH, "cpu", width)
        losses = [one.loss for one in made.score(model, examples, predict=False)]
        seen.append((len(called), [*losses, float(made.loss(model, made.collate(examples)).total)]))
    assert seen[1][0] > seen[0][0]
    assert seen[1][1] == pytest.approx(seen[0][1], rel=1e-5)


def test_an_opening_that_is_held_is_not_computed_again(models, task, conversation, monkeypatch):
    """Passes are counted by what is their own, and the cache is left as it was after each of them."""
    long = "a long instruction that every row opens with: " * 4
    made, model = task(tokens_per_pass=40), models["llama"].eval()
    talks = [(long + word, word) for word in ("one", "two", "three", "four", "five", "six")]
    examples = [made.encode(conversation(*talk)) for talk in talks]
    widths, held = [], []

    def forward(*args, **others):
        cache = others.get("past_key_values")
        widths.append(others["input_ids"].shape[1])
        held.append(cache.get_seq_length() if isinstance(cache, DynamicCache) else None)
        return plain(*args, **others)

    plain = model.forward
    monkeypatch.setattr(model, "forward", forward)
    scored = made.score(model, examples, predict=False)
    opening = widths[0]
    assert opening > 40
    assert held[1:] == [opening] * (len(widths) - 1)
    assert 1 < len(widths) - 1 < len(examples)
    assert all(width <= 40 for width in widths[1:])
    alone = [float(made.loss(model, made.collate([example])).total) for example in examples]
    assert [one.loss for one in scored] == pytest.approx(alone, rel=1e-4)


def test_layers_that_are_computed_again_attend_in_blocks_too(models, task, conversation, monkeypatch):
    monkeypatch.setitem(blocks.WIDTH, "cpu", 1)
    made, model = task(), deepcopy(models["llama"]).train()
    talks = [("the moon?", "orange"), ("the sun?", "a lion"), ("putty?", "who knows")]
    batch = made.collate([made.encode(conversation(*talk)) for talk in talks])
    gradients = []
    for again in (False, True):
        if again:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        made.loss(model, batch).total.backward()
        gradients.append({name: one.grad for name, one in model.named_parameters()})
        model.zero_grad()
    for name, one in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], one, rtol=1e-5, atol=1e-6)

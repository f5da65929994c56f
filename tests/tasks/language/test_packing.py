"""A packed row has the losses and gradients of the rows it holds."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM

from tunesmith.model.tune.block_attention import attend_in_blocks
from tunesmith.tasks.language.packing import (
    PACKABLE,
    SHORTEST_SHARED,
    block_mask,
    can_pack,
    pack,
    shared_length,
)

OPENING = [9, 8, 7, 6, 5, 4]
SIZES = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "head_dim": 8,
    "pad_token_id": 0,
    "initializer_range": 0.3,  # wide, so that seeing a stranger's tokens would change the losses
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "moe_num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_k": 2,
}


def separate_losses(model, sequences, supervised):
    """Loss of each sequence alone, by the definition: no mask, no positions, no packing."""
    losses = []
    for ids, marks in zip(sequences, supervised, strict=True):
        logits = model(input_ids=torch.tensor([ids])).logits[0, :-1].float()
        losses.append((F.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none"), marks[1:]))
    return [(loss * torch.tensor(marks)).sum() for loss, marks in losses]


def packed_losses(model, sequences, supervised, **layout):
    row = pack(sequences, supervised)
    logits = model(
        input_ids=row.input_ids, position_ids=row.position_ids, attention_mask=row.attention_mask, **layout
    ).logits
    loss = F.cross_entropy(logits[0, row.keep].float(), row.labels, reduction="none")
    return [loss[row.owners == owner].sum() for owner in range(len(sequences))]


def gradients(model, loss):
    return torch.autograd.grad(loss, [p for p in model.parameters() if p.requires_grad])


@st.composite
def batches(draw):
    """Sequences with marks, often with a shared opening, at least one supervised token each."""
    opening = draw(st.sampled_from([[], OPENING[:2], OPENING]))
    sequences, supervised = [], []
    for _ in range(draw(st.integers(1, 4))):
        tail = draw(st.lists(st.integers(3, 12), min_size=2, max_size=8))
        ids = opening + tail
        marks = draw(st.lists(st.integers(0, 1), min_size=len(ids), max_size=len(ids)))
        marks[draw(st.integers(1, len(ids) - 1))] = 1
        if draw(st.booleans()):
            marks = [0] * (len(ids) - len(tail)) + marks[len(ids) - len(tail) :]
            marks[-1] = 1
        sequences.append(ids)
        supervised.append(marks)
    return sequences, supervised


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@settings(max_examples=25, deadline=None)
@given(batch=batches())
def test_packed_losses_equal_separate_ones(models, name, batch):
    expected = [float(loss) for loss in separate_losses(models[name], *batch)]
    assert [float(loss) for loss in packed_losses(models[name], *batch)] == pytest.approx(
        expected, rel=1e-5, abs=1e-5
    )


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("opening", [[], OPENING], ids=["apart", "shared"])
def test_packed_gradients_equal_separate_ones(models, name, opening):
    model = models[name]
    sequences = [opening + tail for tail in ([3, 4, 5, 9], [11, 3], [4, 4, 4, 7, 10, 3])]
    supervised = [[0] * (len(ids) - 1) + [1] for ids in sequences]
    supervised[2][-3] = 1
    packed = pack(sequences, supervised)
    assert (packed.input_ids.shape[1] < sum(map(len, sequences)) - 3) == bool(opening)
    wanted = gradients(model, sum(separate_losses(model, sequences, supervised)))
    found = gradients(model, sum(packed_losses(model, sequences, supervised)))
    scale = max(float(gradient.abs().max()) for gradient in wanted)
    assert scale > 0
    for one, other in zip(wanted, found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_the_task_has_the_same_loss_packed_and_padded(models, name, task, conversation):
    counts, losses = [], []
    for packed in (True, False):
        made = task(packed=packed)
        talks = [conversation("the moon?", "orange"), conversation("the sun?", "a lion 🦁", "so?", "yes")]
        batch = made.collate([made.encode(talk) for talk in talks])
        counts.append(batch.count)
        losses.append(float(made.loss(models[name], batch).total))
    assert counts[0] == counts[1] > 10
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@settings(max_examples=100, deadline=None)
@given(batch=batches())
def test_a_packed_row_predicts_each_supervised_token_from_the_one_before_it(batch):
    sequences, supervised = batch
    row = pack(sequences, supervised)
    ids, places, mask = row.input_ids[0].tolist(), row.position_ids[0].tolist(), row.attention_mask[0, 0]
    found = []
    for keep, label, owner in zip(row.keep.tolist(), row.labels.tolist(), row.owners.tolist(), strict=True):
        # all that the predicting position sees is its own sequence so far, in order, and nothing else
        seen = mask[keep].nonzero().flatten().tolist()
        assert [ids[i] for i in seen] == sequences[owner][: places[keep] + 1]
        assert [places[i] for i in seen] == list(range(places[keep] + 1))
        found.append((owner, places[keep] + 1, label))
    assert found == [
        (owner, i, ids[i])
        for owner, (ids, marks) in enumerate(zip(sequences, supervised, strict=True))
        for i in range(1, len(ids))
        if marks[i]
    ]


@given(segments=st.lists(st.integers(-1, 3), min_size=1, max_size=12))
def test_block_mask_by_its_definition(segments):
    mask = block_mask(torch.tensor(segments))
    for row, own in enumerate(segments):
        for column, other in enumerate(segments):
            assert bool(mask[row, column]) == (column <= row and other in (own, -1))


@given(
    sequences=st.lists(st.lists(st.integers(0, 1), max_size=9), max_size=4),
    limit=st.integers(0, 10),
    opening=st.lists(st.integers(0, 1), max_size=6),
)
def test_shared_length_is_the_longest_common_opening_that_pays(sequences, limit, opening):
    sequences = [opening + sequence for sequence in sequences]
    length = shared_length(sequences, limit)
    common = 0
    while len(sequences) > 1 and common < min(limit, *map(len, sequences)):
        if len({sequence[common] for sequence in sequences}) > 1:
            break
        common += 1
    assert length == (common if common >= SHORTEST_SHARED else 0)


def config_of(kind, **settings):
    config = AutoConfig.for_model(kind)
    known = {name: value for name, value in {**SIZES, **settings}.items() if hasattr(config, name)}
    return AutoConfig.for_model(kind, **known)


def class_of(config):
    return AutoModelForCausalLM._model_mapping[type(config)]


@pytest.mark.parametrize(
    ("kind", "settings", "able"),
    [
        ("llama", {}, True),
        ("gpt2", {}, True),
        ("mistral", {"sliding_window": None}, True),
        ("mistral", {"sliding_window": 16}, False),
        ("qwen2", {"use_sliding_window": False}, True),
        ("gemma3_text", {}, False),
        ("mamba", {}, False),
        ("gptj", {}, False),
        ("codegen", {}, False),
        ("bloom", {}, False),
    ],
)
def test_what_can_be_packed(kind, settings, able):
    config = AutoConfig.for_model(kind, **settings)
    assert can_pack(config, class_of(config)) is able


def test_an_encoder_decoder_cannot_be_packed():
    from transformers import T5Config, T5ForConditionalGeneration

    assert not can_pack(T5Config(), T5ForConditionalGeneration)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(PACKABLE))
@pytest.mark.matrix(sample=6)
def test_every_packable_architecture_has_the_same_losses(kind):
    try:
        config = config_of(kind)
        torch.manual_seed(5)
        model = AutoModelForCausalLM.from_config(config).eval()
    except (ValueError, TypeError, RuntimeError, ZeroDivisionError, AssertionError) as error:
        pytest.skip(f"no tiny {kind}: {error}")
    sequences = [OPENING + tail for tail in ([30, 40, 50, 90], [110, 30, 7], [41, 42, 43, 70, 10, 3])]
    supervised = [[0] * (len(ids) - 2) + [1, 1] for ids in sequences]
    with torch.no_grad():
        expected = [float(loss) for loss in separate_losses(model, sequences, supervised)]
        found = [float(loss) for loss in packed_losses(model, sequences, supervised)]
        attend_in_blocks()
        starts, tokens = [6, 9, 11], 16
        layout = {"blocks": [*pairwise([0, *starts[1:], tokens])], "opening": starts[0]}
        in_blocks = [float(loss) for loss in packed_losses(model, sequences, supervised, **layout)]
    assert found == pytest.approx(expected, rel=1e-4)
    assert in_blocks == pytest.approx(expected, rel=1e-4)

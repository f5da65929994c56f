"""Passes of a job, and the words about it."""

import pytest
from jobs import LLAMA_8B, TINY, job

from tunesmith.numbers import bytes_text, flops_text, seconds_text, table_text
from tunesmith.plan.recommend import recommend
from tunesmith.plan.render import memory_lines, traffic_lines, type_lines, work_lines
from tunesmith.plan.workload import Lengths, batch_division, can_divide, cost_of, pass_of, stages

LENGTHS = Lengths(mean=100.0, deviation=10.0, longest=150, shared=20, supervised=30.0)


def test_a_packed_pass_computes_what_all_open_with_once() -> None:
    work = pass_of(job(lengths=LENGTHS), 8, largest=False)
    assert (work.tokens, work.rows, work.supervised) == (8 * 80 + 20, 1, 240)
    assert pass_of(job(lengths=LENGTHS), 1, largest=False).tokens == 100


def test_the_largest_pass_lies_between_the_typical_and_the_impossible() -> None:
    one = job(lengths=LENGTHS)
    for micro in (1, 2, 8, 64):
        typical, largest = (pass_of(one, micro, largest=side).tokens for side in (False, True))
        assert typical < largest <= micro * 130 + 20
    assert pass_of(one, 1, largest=True).tokens == 150


def test_a_padded_pass_is_as_wide_as_its_longest_and_has_logits_everywhere() -> None:
    work = pass_of(job(lengths=LENGTHS, packed=False), 4, largest=True)
    assert (work.tokens, work.rows, work.supervised) == (4 * 130, 4, 4 * 130)
    classifier = pass_of(job(lengths=LENGTHS, packed=False, causal=False), 4, largest=True)
    assert classifier.supervised == 0


def test_masks_of_one_packed_row_grow_with_the_square() -> None:
    one = job(lengths=LENGTHS)
    assert pass_of(one, 8, largest=False).squares > 3.5 * pass_of(one, 4, largest=False).squares


def test_an_operation_of_the_head_counts_for_supervised_positions() -> None:
    head = LLAMA_8B["vocab_size"] * LLAMA_8B["hidden_size"]
    few = cost_of(job(LLAMA_8B, lengths=LENGTHS))
    every = cost_of(job(LLAMA_8B, lengths=LENGTHS, packed=False))
    assert every.needed - few.needed == pytest.approx(6 * head * 0.7)


def test_whether_a_batch_can_be_shared() -> None:
    assert can_divide(job(TINY, batch=12), 6)
    assert not can_divide(job(TINY, batch=12), 5)
    assert not can_divide(job(TINY, batch=12, micro=4), 6)


def test_the_words_have_the_figures() -> None:
    one = job(LLAMA_8B, rank=16, micro=2)
    rows = {f"stage {stage}": parts for stage, parts in stages(one, 8, "gpu").items()}
    choice = recommend(one, processes=8, capacity=80 * 2**30)
    lines = memory_lines(rows, 80 * 2**30, "stage 0")
    assert lines[1].startswith("stage 0")
    assert lines[1].endswith("fits <-")
    assert choice.fits
    assert any("adapters float32" in line for line in type_lines(one, sharded=False, dtype="bfloat16"))
    assert "one process" in traffic_lines(one, batch_division(one, 1))[0]
    assert "stage 0, 1 and 2" in traffic_lines(one, batch_division(one, 8))[0]
    assert "a step" in work_lines(one, batch_division(one, 8))[0]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (bytes_text(512), "512 B"),
        (bytes_text(1536), "1.5 KiB"),
        (bytes_text(150 * 2**30), "150 GiB"),
        (flops_text(1.5e15), "1.5 PFLOP"),
        (flops_text(2e6), "2 MFLOP"),
        (seconds_text(0.012), "12 ms"),
        (seconds_text(90), "1.5 min"),
        (seconds_text(3 * 86400), "3 days"),
    ],
)
def test_quantities_as_people_read_them(text: str, shown: str) -> None:
    assert text == shown


def test_a_table_is_flush() -> None:
    assert table_text(("a", "bb"), [("xyz", "1")]) == ["a    bb", "xyz   1"]

from dataclasses import dataclass
from itertools import chain

import pytest

from tunesmith.plan.batch import divide
from tunesmith.train.batches import step_batches


@dataclass(frozen=True)
class Keeps:
    """A task whose batch is its examples."""

    def collate(self, examples):
        return {"ids": [example["id"] for example in examples]}


@dataclass(frozen=True)
class InTurn:
    """An order without chance."""

    excluded: frozenset[int]

    def places(self, step):
        return [(step * 8 + place) % 40 for place in range(8)]


EXAMPLES = [{"id": f"row{index}", "length": 1 + index * 7 % 13} for index in range(40)]


def steps_of(*, processes=1, rank=0, steps=range(0, 5), workers=0, micro=2, excluded=()):
    return step_batches(
        EXAMPLES,
        Keeps(),
        divide(8, micro, processes, typical_tokens=5),
        order=InTurn(frozenset(excluded)),
        steps=steps,
        rank=rank,
        workers=workers,
        seed=0,
    )


def served(**options):
    return [[batch["ids"] for batch in step.batches] for step in steps_of(**options)]


def samples(groups):
    return [sorted(name for batch in group for name in batch) for group in groups]


def test_each_step_serves_its_samples_in_micro_batches():
    groups = served()
    assert samples(groups) == [sorted(f"row{step * 8 + i}" for i in range(8)) for step in range(5)]
    assert [[len(batch) for batch in group] for group in groups] == [[2] * 4] * 5


@pytest.mark.parametrize("processes", [2, 4])
def test_the_processes_together_serve_what_one_serves(processes):
    by_rank = [samples(served(processes=processes, rank=rank)) for rank in range(processes)]
    together = [sorted(chain.from_iterable(step)) for step in zip(*by_rank, strict=True)]
    assert together == samples(served())


def test_it_begins_anywhere_as_if_it_had_begun_at_the_start():
    assert served(steps=range(3, 5)) == served()[3:]


def test_nothing_to_serve():
    assert served(steps=range(5, 5)) == []


def test_every_other_sample_stays_in_its_pass():
    without = {f"row{index}" for index in (0, 1, 5, 9, 12)}
    found = list(steps_of(excluded={0, 1, 5, 9, 12}))
    whole = served()
    for step, before in zip(found, whole, strict=True):
        left = [[name for name in batch if name not in without] for batch in before]
        assert [batch["ids"] for batch in step.batches] == [batch for batch in left if batch]
        assert not step.fillers
    assert [len(step.batches) for step in found] == [3, 4, 4, 4, 4]
    assert [len(step.frozen_statistics) for step in found] == [1, 2, 0, 0, 0]


def test_a_step_without_samples_has_no_passes_and_the_next_is_served():
    found = served(excluded=set(range(8, 16)))
    assert found[1] == []
    assert [found[0], *found[2:]] == [served()[0], *served()[2:]]


def test_workers_serve_the_same():
    excluded = {3, *range(8, 16)}
    assert served(workers=1, excluded=excluded) == served(excluded=excluded)

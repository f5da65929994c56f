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


EXAMPLES = [{"id": f"row{index}", "length": 1 + index * 7 % 13} for index in range(40)]


def served(*, processes=1, rank=0, steps=range(0, 5), workers=0, micro=2):
    batches = step_batches(
        EXAMPLES,
        Keeps(),
        divide(8, micro, processes, typical_tokens=5),
        samples_of=lambda step: [(step * 8 + place) % 40 for place in range(8)],
        steps=steps,
        rank=rank,
        workers=workers,
        seed=0,
    )
    return [[batch["ids"] for batch in group] for group in batches]


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

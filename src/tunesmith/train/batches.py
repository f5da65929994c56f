"""Batches in an order that is a pure function of seed and step, so that a run continues anywhere."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import islice
from multiprocessing import resource_tracker
from typing import Any

import torch
from torch.utils.data import DataLoader

from tunesmith.data.row_order import RowOrder
from tunesmith.plan.batch import Division, MicroBatch, micro_batches_without
from tunesmith.tasks.task import Batch, Example, Task, offers
from tunesmith.world.signals import ASKS_TO_STOP, held_back


@dataclass(frozen=True, slots=True)
class StepBatches:
    """What this process computes in one step.

    Attributes:
        batches: collated, one a pass; none if no sample of the step is left to any process.
        fillers: numbers of those from which nothing is learnt.
        frozen_statistics: numbers of those too small to move what a normalisation over batches keeps.
        examples: of each pass, not collated, where the task makes of them what it learns from.
    """

    batches: list[Batch]
    fillers: frozenset[int] = frozenset()
    frozen_statistics: frozenset[int] = frozenset()
    examples: list[list[Example]] = field(default_factory=list)


def to_step_batches(
    micro: Sequence[MicroBatch], batches: list[Batch], examples: Sequence[list[Example]] = ()
) -> StepBatches:
    """Micro-batches as they were planned, and as they were collated, or are still to be."""
    return StepBatches(
        batches,
        examples=list(examples),
        fillers=frozenset(number for number, one in enumerate(micro) if not one.learns),
        frozen_statistics=frozenset(
            number for number, one in enumerate(micro) if one.thinned or not one.learns
        ),
    )


def step_batches(
    examples: Sequence[Example],
    task: Task,
    division: Division,
    *,
    order: RowOrder,
    steps: range,
    rank: int,
    workers: int,
    seed: int,
) -> Iterator[StepBatches]:
    """For each step, the collated micro-batches of this process.

    Args:
        examples: the encoded training set.
        task: collates.
        division: of the global batch.
        order: of the samples, over all processes, and which of them are left out.
        steps: which steps to serve; a continued run begins where it left off.
        rank: this process.
        workers: processes that collate ahead; 0 collates in this one.
        seed: for the workers' own random numbers.
    """
    lengths = [int(example["length"]) for example in examples]
    later = offers(task, "roll_out")

    @lru_cache(maxsize=64)  # asked for twice: when its batches are collated, and when they are served
    def planned(step: int) -> list[MicroBatch]:
        return micro_batches_without(order.places(step), lengths, division, rank, order.excluded)

    loader: Any = DataLoader(
        examples,  # a sequence is all that it needs
        batch_sampler=_Once(micro.samples for step in steps for micro in planned(step)),
        collate_fn=list if later else task.collate,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=partial(_begin_worker, parent=os.getpid()) if workers else None,
        generator=torch.Generator().manual_seed(seed),
    )
    if workers:
        resource_tracker.ensure_running()  # its start would let signals through again
    with held_back():
        batches = iter(loader)
    for step in steps:
        micro = planned(step)
        taken = list(islice(batches, len(micro)))
        yield to_step_batches(micro, [], taken) if later else to_step_batches(micro, taken)


def _begin_worker(worker: int, *, parent: int) -> None:
    """Leave signals to the loop, and do not outlive it.

    A signal to the whole process group must not take the workers away before the loop has saved. And torch's
    own watchdog does not see that the loop's process is gone if it went while this one was starting.
    """
    del worker
    if os.getppid() != parent:
        os._exit(0)
    for number in ASKS_TO_STOP:
        signal.signal(number, signal.SIG_IGN)


class _Once:
    """An iterable of index lists for ``DataLoader``, which wants an object and not a generator."""

    def __init__(self, plan: Iterator[list[int]]) -> None:
        self._plan = plan

    def __iter__(self) -> Iterator[list[int]]:
        return self._plan

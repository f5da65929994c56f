"""Batches in an order that is a pure function of seed and step, so that a run continues anywhere."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from multiprocessing import resource_tracker
from typing import Any

import torch
from torch.utils.data import DataLoader

from tunesmith.plan.batch import Division, assign_micro_batches
from tunesmith.tasks.task import Batch, Example, Task
from tunesmith.world.signals import ASKS_TO_STOP, held_back

SamplesOf = Callable[[int], Sequence[int]]


def step_batches(
    examples: Sequence[Example],
    task: Task,
    division: Division,
    *,
    samples_of: SamplesOf,
    steps: range,
    rank: int,
    workers: int,
    seed: int,
) -> Iterator[list[Batch]]:
    """For each step, the collated micro-batches of this process.

    Args:
        examples: the encoded training set.
        task: collates.
        division: of the global batch.
        samples_of: the samples of a step, over all processes.
        steps: which steps to serve; a continued run begins where it left off.
        rank: this process.
        workers: processes that collate ahead; 0 collates in this one.
        seed: for the workers' own random numbers.
    """
    lengths = [int(example["length"]) for example in examples]
    plan = (
        micro for step in steps for micro in assign_micro_batches(samples_of(step), lengths, division, rank)
    )
    loader: Any = DataLoader(
        examples,  # a sequence is all that it needs
        batch_sampler=_Once(plan),
        collate_fn=task.collate,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=partial(_begin_worker, parent=os.getpid()) if workers else None,
        generator=torch.Generator().manual_seed(seed),
    )
    if workers:
        resource_tracker.ensure_running()  # its start would let signals through again
    with held_back():
        batches = iter(loader)
    while group := list(islice(batches, division.accumulation)):
        yield group


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

"""Before a step: what a task learns from, made by the model as it is, with random numbers of their own."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial

import numpy as np

from tunesmith.fault import fault
from tunesmith.tasks.task import Batch
from tunesmith.train.batches import StepBatches
from tunesmith.train.engine.learner import Learner
from tunesmith.train.engine.process import Process
from tunesmith.train.inference.forward import infer


def roll_out(process: Process, learner: Learner, step: StepBatches, *, seed: int, number: int) -> StepBatches:
    """The step with the batches that its task makes of it; as it is, if the task makes none.

    What is drawn for a row hangs on the run's seed, the step and the row alone. So it is the same after a
    kill, in any number of processes, and whatever its micro-batch.

    Args:
        process: this one.
        learner: its task makes the samples with its model.
        step: this process's micro-batches.
        seed: the run's.
        number: of the step, from 0.
    """
    if not step.examples:
        return step
    task = learner.task
    rng = partial(row_random, seed, number)

    def own() -> list[Batch]:
        fault("roll-out")
        made = [task.roll_out(learner.model, examples, rng) for examples in step.examples]
        return [task.collate(examples) for examples in made]

    idle = partial(task.roll_out, learner.model, step.examples[0][:1], rng)
    return replace(step, batches=infer(process, learner, own, idle, may_leave=False), examples=[])


def row_random(seed: int, step: int, row_id: str) -> np.random.Generator:
    """The random numbers of one row in one step (Philox, keyed by SHA-256 of the three).

    Args:
        seed: the run's.
        step: its number.
        row_id: of the row.
    """
    key = hashlib.sha256(f"{seed}\0{step}\0{row_id}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key[:16], "little")))

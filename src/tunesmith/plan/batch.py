"""The global batch divided into processes, accumulation and micro-batches. Pure."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Literal

from tunesmith.errors import UserError

TOKENS_PER_PASS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """``size == micro * accumulation * processes``, always.

    Attributes:
        size: samples that one optimiser step sees, over all processes.
        micro: samples of one forward pass of one process.
        accumulation: forward passes of one process per step.
        processes: number of processes.
    """

    size: int
    micro: int
    accumulation: int
    processes: int

    def __str__(self) -> str:
        return f"{self.micro} a pass x {self.accumulation} accumulated x {self.processes} processes"


def divide(size: int, micro: int | Literal["auto"], processes: int, *, typical_tokens: float) -> Division:
    """Divide the global batch.

    ``auto`` takes the most samples whose tokens fit in one pass of ``TOKENS_PER_PASS``: more would not
    use the processor better, and a packed row's mask grows with the square of its length.

    Raises:
        UserError: if the batch cannot be divided evenly; it names the nearest sizes that can.
    """
    if size % processes:
        low = size // processes * processes
        nearest = " or ".join(str(n) for n in (low, low + processes) if n > 0)
        raise UserError(
            f"`batch.size: {size}` cannot be divided among {processes} processes",
            hint=f"use {nearest}, or start a number of processes that divides {size}",
        )
    share = size // processes
    fitting = [n for n in range(1, share + 1) if share % n == 0]
    if micro == "auto":
        most = max(1, int(TOKENS_PER_PASS / max(typical_tokens, 1)))
        chosen = max(n for n in fitting if n <= most)
    else:
        chosen = micro
    if share % chosen:
        near = sorted(fitting, key=lambda n: abs(n - chosen))[:2]
        raise UserError(
            f"`batch.micro: {chosen}` does not divide the {share} samples of one process "
            f"(`batch.size: {size}` over {processes})",
            hint=f"use {' or '.join(str(n) for n in sorted(near))}, or `auto`",
        )
    return Division(size=size, micro=chosen, accumulation=share // chosen, processes=processes)


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """What one process computes in one pass.

    Attributes:
        samples: indices of the samples.
        learns: false where it has none of its own left, and only keeps in step with the other processes.
        thinned: whether a single sample is left of several.
    """

    samples: list[int]
    learns: bool = True
    thinned: bool = False


def micro_batches_without(
    samples: Sequence[int],
    lengths: Sequence[int],
    division: Division,
    rank: int,
    excluded: Container[int] = (),
) -> list[MicroBatch]:
    """The micro-batches of one process in one step, each without the samples that are left out.

    Every other sample stays in the pass in which it would be if all were there. A pass that is empty in all
    processes is left out by all of them; one that is empty in some computes the shortest sample of the step
    there, from which nothing is learnt: processes that share weights or gradients compute pass by pass.

    Args:
        samples: as for ``assign_micro_batches``, as the three after it.
        lengths: see there.
        division: see there.
        rank: see there.
        excluded: samples that are left out.
    """
    mine = assign_micro_batches(samples, lengths, division, rank)
    left = [index for index in samples if index not in excluded]
    if len(left) == len(samples):
        return [MicroBatch(one) for one in mine]
    others = [assign_micro_batches(samples, lengths, division, other) for other in range(division.processes)]
    taken = []
    for number, whole in enumerate(mine):
        kept = [index for index in whole if index not in excluded]
        if kept:
            taken.append(MicroBatch(kept, thinned=len(kept) == 1 < len(whole)))
        elif any(index not in excluded for other in others for index in other[number]):
            filler = min(left, key=lambda index: (lengths[index], index))
            taken.append(MicroBatch([filler], learns=False))
    return taken


def assign_micro_batches(
    samples: Sequence[int], lengths: Sequence[int], division: Division, rank: int
) -> list[list[int]]:
    """The micro-batches of one process in one step.

    Samples are dealt to and fro in order of length, so that all processes work about equally long; which
    process takes a sample changes nothing that is learnt.

    Args:
        samples: indices of the step's samples, over all processes.
        lengths: tokens of every example of the data set.
        division: how the batch is divided.
        rank: the process.
    """
    order = (
        sorted(samples, key=lambda index: (-lengths[index], index))
        if division.processes > 1
        else list(samples)
    )
    rounds = [order[i : i + division.processes] for i in range(0, len(order), division.processes)]
    mine = [hand[rank] if turn % 2 == 0 else hand[-1 - rank] for turn, hand in enumerate(rounds)]
    return [mine[i : i + division.micro] for i in range(0, len(mine), division.micro)]

"""Sources with weights: how often each one's rows are seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.split import allocate
from tunesmith.errors import UserError


@dataclass(frozen=True, slots=True)
class Part:
    """One source's share of an epoch.

    Attributes:
        rows: indices of its rows.
        count: how many samples of an epoch are its own; more than there are rows repeats some.
    """

    rows: tuple[int, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Mixture:
    """What an epoch consists of. Without weights: every row, once.

    An epoch has as many samples as there are rows (a few more, if a weight is tiny). Each source with a
    weight is a stream of its own, which goes through all its rows before any comes again, across epochs: a
    source with a small weight loses no row for good, it only takes longer.
    """

    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Samples in an epoch."""
        return sum(part.count for part in self.parts)


def check_weights(weights: Sequence[float | None], where: str = "") -> None:
    """All sources have a weight, or none.

    Raises:
        UserError: some have, some have not.
    """
    without = [number for number, weight in enumerate(weights) if weight is None]
    if without and len(without) < len(weights):
        raise UserError(
            f"source {without[0] + 1} of `data.train` has no `weight`, and others have one",
            where,
            "give every source a weight, or none: without weights every row comes once an epoch",
        )


def make_mixture(source_of: Sequence[int], weights: Sequence[float | None]) -> Mixture:
    """What an epoch of these rows consists of.

    Args:
        source_of: per row, the number of its source.
        weights: per source; all ``None``, or all numbers.
    """
    check_weights(weights)
    if not weights or weights[0] is None:
        return Mixture((Part(tuple(range(len(source_of))), len(source_of)),))
    rows: dict[int, list[int]] = {}
    for index, source in enumerate(source_of):
        rows.setdefault(source, []).append(index)
    present = {str(source): float(weights[source] or 0.0) for source in sorted(rows)}
    counts = allocate(present, len(source_of))
    return Mixture(tuple(Part(tuple(rows[int(name)]), max(1, count)) for name, count in counts.items()))


def mixed_index(mixture: Mixture, position: int, seed: int) -> int:
    """The row at a position, counted in samples from 0 across epochs; pure, like ``sample_index``."""
    epoch = position // mixture.size
    slot = sample_index(position, mixture.size, seed)
    if len(mixture.parts) == 1 and mixture.parts[0].count == len(mixture.parts[0].rows):
        return mixture.parts[0].rows[slot]
    for number, part in enumerate(mixture.parts, 1):
        if slot < part.count:
            within = sample_index(epoch * part.count + slot, len(part.rows), seed + (number << 48))
            return part.rows[within]
        slot -= part.count
    raise AssertionError("a slot beyond the mixture")


def mixed_rows(mixture: Mixture, positions: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """The rows at positions, many at once: what ``mixed_index`` gives for each of them."""
    epochs, slots = positions // mixture.size, _sample_indices(positions, mixture.size, seed)
    if len(mixture.parts) == 1 and mixture.parts[0].count == len(mixture.parts[0].rows):
        return np.asarray(mixture.parts[0].rows, dtype=np.int64)[slots]
    found, start = np.empty_like(positions), 0
    for number, part in enumerate(mixture.parts, 1):
        mine = (slots >= start) & (slots < start + part.count)
        within = epochs[mine] * part.count + slots[mine] - start
        rows = np.asarray(part.rows, dtype=np.int64)
        found[mine] = rows[_sample_indices(within, len(rows), seed + (number << 48))]
        start += part.count
    return found


def _sample_indices(positions: NDArray[np.int64], size: int, seed: int) -> NDArray[np.int64]:
    epochs, places = np.divmod(positions, size)
    found = np.empty_like(positions)
    for epoch in np.unique(epochs):
        mine = epochs == epoch
        found[mine] = permutation(size, int(epoch), seed)[places[mine]]
    return found


def mixed_step(mixture: Mixture, step: int, batch_size: int, seed: int) -> list[int]:
    """The rows of one optimiser step, from 0; batches run across the ends of epochs and are always full."""
    first = step * batch_size
    return [mixed_index(mixture, position, seed) for position in range(first, first + batch_size)]


@lru_cache(maxsize=16)
def permutation(size: int, epoch: int, seed: int) -> NDArray[np.int64]:
    """The order of one epoch, read-only.

    It is made from the raw output of Philox (Salmon and others, 2011), a counter-based generator whose
    stream is fixed by its definition, and not from numpy's own shuffling, which may change.

    Args:
        size: rows in an epoch.
        epoch: from 0.
        seed: the run's.
    """
    key = np.array([seed % 2**64, epoch], dtype=np.uint64)
    order = np.argsort(np.random.Philox(key=key).random_raw(size), kind="stable")
    order.flags.writeable = False
    return order


def sample_index(position: int, size: int, seed: int) -> int:
    """The row at a position.

    Args:
        position: samples before this one, from 0, across epochs.
        size: rows in an epoch, at least 1.
        seed: the run's.
    """
    epoch, place = divmod(position, size)
    return int(permutation(size, epoch, seed)[place])


def samples_of_step(step: int, batch_size: int, size: int, seed: int) -> list[int]:
    """The rows of one optimiser step, from 0; batches run across the ends of epochs and are always full."""
    first = step * batch_size
    return [sample_index(position, size, seed) for position in range(first, first + batch_size)]

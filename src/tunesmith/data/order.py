"""Which row comes when: a pure function of seed, epoch and position, so that resuming needs one number.

Positions count samples from the very first one of the run, across epochs. No state, no fast-forward; any
number of processes computes the same order.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


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

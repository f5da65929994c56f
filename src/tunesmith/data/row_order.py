"""Which rows each step sees, as numbers and as names: a pure function of seed, mixture and step.

It is written down once, and again only where it changes, with the ids of all rows: what a step saw can be
told from that afterwards, and nothing has to be written at each step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.mixture import Mixture, Part, mixed_rows, mixed_step
from tunesmith.suggest import nearest

MOST_ROWS, LARGEST_BATCH = 10**9, 10**7
"""What a file may ask for, since it may be anybody's."""
LONGEST_NUMBER = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOrder:
    """The order in which rows are seen.

    Attributes:
        mixture: what an epoch consists of.
        batch_size: places of an optimiser step, over all processes.
        seed: the run's.
        excluded: numbers of rows that the recipe leaves out; their places stay empty.
    """

    mixture: Mixture
    batch_size: int
    seed: int
    excluded: frozenset[int] = frozenset()

    def places(self, step: int) -> list[int]:
        """The rows that have a place in a step, counted from 0, those that are left out among them."""
        return mixed_step(self.mixture, step, self.batch_size, self.seed)

    def learnt(self, step: int) -> list[int]:
        """The rows that a step, counted from 0, learns from."""
        return [row for row in self.places(step) if row not in self.excluded]

    def places_of(self, steps: Sequence[int]) -> NDArray[np.int64]:
        """The rows that have a place in each of these steps, [steps, batch size]."""
        first = np.asarray(steps, dtype=np.int64)[:, None] * self.batch_size
        positions = (first + np.arange(self.batch_size)).ravel()
        return mixed_rows(self.mixture, positions, self.seed).reshape(-1, self.batch_size)


@dataclass(frozen=True, slots=True)
class RecordedOrder:
    """The order that holds from a step on.

    Attributes:
        begins: steps that were done before it held.
        ids: of all rows to learn from, by their numbers.
        order: in which they are seen.
    """

    begins: int
    ids: tuple[str, ...]
    order: RowOrder


def order_to_plain(ids: Iterable[str], order: RowOrder) -> dict[str, Any]:
    """The order and the rows' ids as JSON holds them; neighbouring rows take no room of their own."""
    return {
        "batch_size": order.batch_size,
        "seed": order.seed,
        "excluded": _spans(sorted(order.excluded)),
        "parts": [{"rows": _spans(part.rows), "count": part.count} for part in order.mixture.parts],
        "ids": pack_ids(ids),
    }


def order_from_plain(plain: Mapping[str, Any]) -> RecordedOrder:
    """What ``order_to_plain`` gave, with ``begins`` beside it.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: it is nothing of the kind.
    """
    ids = tuple(unpack_ids(plain["ids"]))
    parts = tuple(Part(tuple(_numbers(part["rows"])), int(part["count"])) for part in plain["parts"])
    order = RowOrder(
        mixture=Mixture(parts),
        batch_size=int(plain["batch_size"]),
        seed=int(plain["seed"]),
        excluded=frozenset(_numbers(plain["excluded"])),
    )
    known = all(0 <= row < len(ids) for part in parts for row in part.rows)
    sized = all(part.count >= 1 and part.rows for part in parts) and 1 <= order.mixture.size <= MOST_ROWS
    if not known or not sized or not 1 <= order.batch_size <= LARGEST_BATCH:
        raise ValueError("numbers that cannot be")
    return RecordedOrder(int(plain["begins"]), ids, order)


def pack_ids(ids: Iterable[str]) -> list[list[Any]]:
    """Ids as ``[label, [first, how many, first, how many ...]]``, in order; an odd one as ``[id]``."""
    packed: list[list[Any]] = []
    for one in ids:
        label, number = split_id(one)
        if number is None:
            packed.append([one])
            continue
        if not packed or len(packed[-1]) == 1 or packed[-1][0] != label:
            packed.append([label, []])
        _extend(packed[-1][1], number)
    return packed


def unpack_ids(packed: Sequence[Sequence[Any]]) -> list[str]:
    """What ``pack_ids`` packed."""
    found: list[str] = []
    for entry in packed:
        label = str(entry[0])
        found += [f"{label}:{n}" for n in _numbers(entry[1])] if len(entry) > 1 else [label]
    return found


def hash_of_samples(ids: Sequence[str]) -> str:
    """Short hash of the samples of a step, whatever their order within it."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:16]


def split_id(row_id: str) -> tuple[str, int | None]:
    """The source and the line or index of an id such as ``train.jsonl:12``."""
    label, colon, digits = row_id.rpartition(":")
    plain = digits.isascii() and digits.isdigit() and len(digits) < LONGEST_NUMBER
    if not colon or not plain or (digits[0] == "0" and digits != "0"):
        return row_id, None
    return label, int(digits)


def nearest_id(row_id: str, ids: Iterable[str]) -> str | None:
    """The id that was probably meant: the nearest line of that source, or of one with a similar name."""
    lines: dict[str, list[int]] = {}
    for label, number in map(split_id, ids):
        lines.setdefault(label, []).append(number or 0)
    label, line = split_id(row_id)
    near = label if label in lines else nearest(label, lines)
    if near is None:
        return None
    number = min(lines[near], key=lambda one: (abs(one - (line or 0)), one))
    return f"{near}:{number}"


def _spans(numbers: Iterable[int]) -> list[int]:
    spans: list[int] = []
    for number in numbers:
        _extend(spans, number)
    return spans


def _extend(spans: list[int], number: int) -> None:
    if spans and spans[-2] + spans[-1] == number:
        spans[-1] += 1
    else:
        spans += [number, 1]


def _numbers(spans: Sequence[int]) -> list[int]:
    if sum(spans[1::2]) > MOST_ROWS:
        raise ValueError("more rows than there can be")
    pairs = zip(spans[::2], spans[1::2], strict=True)
    return [number for first, count in pairs for number in range(first, first + count)]

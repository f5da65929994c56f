"""What a reader yields, gathered: all of it, its first rows, or a sample of it."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from tunesmith.data.read.bounds import room_for_rows, size_of, too_much
from tunesmith.data.read.raw import Item, RawRow
from tunesmith.data.row import Skip


@dataclass(frozen=True, slots=True)
class Gathered:
    """Rows and skips in the order of the source; ``taken`` and ``of`` as in ``RawRows``."""

    rows: tuple[RawRow, ...]
    skips: tuple[Skip, ...]
    taken: Literal["", "sample", "first"]
    of: int | None


def gather(
    items: Iterable[Item],
    place: str,
    *,
    limit: int | None = None,
    first: int | None = None,
    seed: int = 0,
    room: int | None = None,
) -> Gathered:
    """Sort what a reader yields into rows and skips.

    Args:
        items: of the reader.
        place: path or address, for messages.
        limit: keep a sample of so many rows, drawn evenly from all of them; they stay in their order.
        first: stop after so many rows.
        seed: decides which rows are in the sample.
        room: bytes that they may take; default: half of the memory that there is.

    Raises:
        UserError: they need more room than there is.
    """
    room = room_for_rows() if room is None else room
    kept: list[tuple[int, int, RawRow, int]] = []
    skips: list[Skip] = []
    count = used = 0
    for item in _until(items, first):
        if isinstance(item, Skip):
            skips.append(item)
            used += size_of(item.detail) + size_of(item.id)
        else:
            entry = (-_rank(count, seed) if limit else -count, count, item, size_of(item.columns))
            count += 1
            used += entry[3]
            if limit is None:
                kept.append(entry)
            elif len(kept) < limit:
                heapq.heappush(kept, entry)
            else:
                used -= heapq.heappushpop(kept, entry)[3]
        if used > room:
            raise too_much(place, room)
    rows = tuple(entry[2] for entry in sorted(kept, key=lambda entry: entry[1]))
    if first is not None and count == first:
        return Gathered(rows, tuple(skips), "first", None)
    return Gathered(rows, tuple(skips), "sample" if len(rows) < count else "", count)


def _until(items: Iterable[Item], first: int | None) -> Iterator[Item]:
    if first is None:
        yield from items
        return
    taken = 0
    for item in items:
        yield item
        taken += isinstance(item, RawRow)
        if taken == first:
            return


def _rank(index: int, seed: int) -> int:
    """A number that looks random: the rows with the smallest ones are a fair sample."""
    salt = (seed % 2**64).to_bytes(8, "little")
    return int.from_bytes(blake2b(index.to_bytes(8, "little"), digest_size=8, salt=salt).digest())

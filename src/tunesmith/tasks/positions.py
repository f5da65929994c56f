"""Losses of tokens by where in their example they stand."""

from __future__ import annotations

from collections.abc import Sequence


def add_by_position(
    given: Sequence[dict[str, float]], owners: Sequence[int], losses: Sequence[float]
) -> None:
    """Add losses of tokens, in order within each example, as sums and counts over ranges of positions.

    Range k ends with position 2**k: 1, 2, 3 to 4, 5 to 8 and so on; ``loss@k`` and ``count@k``.
    """
    seen: dict[int, int] = {}
    for owner, loss in zip(owners, losses, strict=True):
        position = seen[owner] = seen.get(owner, 0) + 1
        power, mine = (position - 1).bit_length(), given[owner]
        mine[f"loss@{power}"] = mine.get(f"loss@{power}", 0.0) + loss
        mine[f"count@{power}"] = mine.get(f"count@{power}", 0.0) + 1

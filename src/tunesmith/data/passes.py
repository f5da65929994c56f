"""Which rows go through a model together where nothing is learnt. Pure."""

from __future__ import annotations

from collections.abc import Sequence

PASS_TOKENS = {"cpu": 4096}
"""Most tokens of a padded pass, by the device that computes; others have ``GPU_PASS_TOKENS``."""
GPU_PASS_TOKENS = 16384
PADDING = 0.25
"""Share of a pass that may be padding; a sixteenth of the bound always may, as a further pass costs about
as much."""
PATCH = 16
"""Side of a square of pixels that counts as a token."""


def tokens_per_pass(device: str) -> int:
    """Most tokens of a padded pass on a kind of device, ``cpu`` or ``cuda`` say."""
    return PASS_TOKENS.get(device, GPU_PASS_TOKENS)


def split_passes(
    lengths: Sequence[int], *, tokens: int, rows: int | None = None, padded: bool = True
) -> list[list[int]]:
    """Indices of rows in groups of similar length, the shortest first, each index once.

    A pass costs memory and time by the tokens in it. So a pass holds at most ``tokens`` of them, and more
    only if a single row has more, and little of it is padding: a long row does not stretch those around it,
    and whoever waits for the end of a pass waits for a bounded time.

    Args:
        lengths: tokens of each row.
        tokens: most of a pass.
        rows: most of a pass.
        padded: whether every row takes as many tokens as the longest of its pass.
    """
    groups: list[list[int]] = []
    own = 0
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        size = len(groups[-1]) if groups else 0
        filled = own + lengths[index]
        together = (size + 1) * lengths[index] if padded else filled
        wasted = together - filled > max(PADDING * together, tokens / 16)
        if not groups or together > tokens or wasted or size == rows:
            groups.append([])
            filled = lengths[index]
        groups[-1].append(index)
        own = filled
    return groups


def picture_length(height: int, width: int) -> int:
    """Tokens that a picture counts for: its patches of 16 x 16 pixels, at least one."""
    return max(1, height * width // PATCH**2)

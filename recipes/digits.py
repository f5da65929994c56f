"""Rows for the digits recipes: scikit-learn's handwritten digits, 8 by 8 pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def rows(low: int, high: int, first: int = 0, per_class: int | None = None) -> Iterator[dict[str, Any]]:
    """Images of the digits from ``low`` to ``high``, as bytes.

    Args:
        low: smallest digit.
        high: largest digit.
        first: how many images of each digit are passed over.
        per_class: at most so many of each digit.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    seen: dict[int, int] = {}
    for image, label in zip(digits.images, digits.target, strict=True):
        digit = int(label)
        place = seen.get(digit, 0) - first
        seen[digit] = seen.get(digit, 0) + 1
        if low <= digit <= high and place >= 0 and (per_class is None or place < per_class):
            yield {"image": (image * 255 / 16).astype("uint8"), "label": str(digit)}

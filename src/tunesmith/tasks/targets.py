"""What is to be learnt: classes by name, numbers brought to mean 0 and deviation 1."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence

import torch

from tunesmith.data.row import Row
from tunesmith.errors import UserError
from tunesmith.suggest import shorten

COARSE = 0.01
"""Of the targets' spread: how far apart the numbers may lie that a finished model can answer."""


def labels_of(rows: Iterable[Row]) -> Iterator[str]:
    """The label of each row."""
    return (str(row.fields["label"]) for row in rows)


def label_names(labels: Iterable[str], field: str = "label") -> tuple[str, ...]:
    """Every label of the training rows, sorted; whole numbers by value.

    Raises:
        UserError: if there are fewer than two.
    """
    names = sorted(set(labels), key=_natural)
    if len(names) < 2:
        told = ", ".join(map(shorten, names))
        raise UserError(
            f"the training rows hold {len(names)} label ({told}); a classifier needs two or more",
            hint=f"check the `{field}` field of `data.train`",
        )
    return tuple(names)


def label_index(label: str, names: tuple[str, ...], row_id: str) -> int:
    """Position of a label.

    Raises:
        UserError: for a label that no training row has.
    """
    if label not in names:
        raise UserError(
            f"row `{row_id}` has label `{shorten(label)}`, which no training row has",
            hint=f"the labels in training are: {', '.join(map(shorten, names[:20]))}; "
            "mend the row, or rewrite it with `values`",
        )
    return names.index(label)


def _natural(name: str) -> tuple[int, int, str]:
    """Sort key; the name itself comes last, so that ``1`` and ``01`` have one order in every process."""
    whole = re.fullmatch(r"-?[0-9]{1,300}", name)
    return (0, int(name), name) if whole else (1, 0, name)


def standardisation(targets: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation of the training targets, 1 where they do not differ.

    The finished model answers in the user's units, in float32: around 1.7 billion its answers are 128 apart.

    Raises:
        UserError: if the targets lie nearer to each other than float32 tells apart, or beyond its range.
    """
    largest, numbers = max(map(abs, targets)), torch.finfo(torch.float32)
    if not largest < numbers.max / 4:
        raise UserError(
            f"a target is {largest:.3g}, more than a model's numbers (float32) reach",
            "data.train",
            "give the targets in a larger unit, or their logarithm",
        )
    mean = math.fsum(targets) / len(targets)
    spread = math.sqrt(math.fsum((target - mean) ** 2 for target in targets) / len(targets))
    step = max(largest * numbers.eps, numbers.tiny / numbers.eps)
    if any(target != targets[0] for target in targets) and step > COARSE * spread:
        raise UserError(
            f"the targets lie around {mean:.6g} and only {spread:.3g} apart (standard deviation); a model "
            f"answers in float32, whose numbers are {step:.3g} apart there, so it could not tell them apart",
            "data.train",
            f"subtract a constant near {mean:.3g} from every target, or give them in another unit",
        )
    return mean, spread or 1.0

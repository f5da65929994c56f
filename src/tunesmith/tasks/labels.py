"""The classes of a classification task."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tunesmith.data.row import Row
from tunesmith.errors import UserError


def label_names(rows: Iterable[Row]) -> tuple[str, ...]:
    """Every label in the training rows, sorted; whole numbers by value.

    Raises:
        UserError: if there are fewer than two.
    """
    names = sorted({str(row.fields["label"]) for row in rows}, key=_natural)
    if len(names) < 2:
        raise UserError(
            f"the training rows hold {len(names)} label ({', '.join(names)}); a classifier needs two or more",
            hint="check the `label` field of `data.train`",
        )
    return tuple(names)


def label_index(label: str, names: tuple[str, ...], row_id: str) -> int:
    """Position of a label.

    Raises:
        UserError: for a label that no training row has.
    """
    if label not in names:
        raise UserError(
            f"row `{row_id}` has label `{label}`, which no training row has",
            hint=f"the labels in training are: {', '.join(names[:20])}; "
            "mend the row, or rewrite it with `values`",
        )
    return names.index(label)


def _natural(name: str) -> tuple[int, int, str]:
    """Sort key; the name itself comes last, so that ``1`` and ``01`` have one order in every process."""
    whole = re.fullmatch(r"-?[0-9]{1,300}", name)
    return (0, int(name), name) if whole else (1, 0, name)

"""How well scores put the examples of a class before the others, whatever the threshold.

The scores are the log-probabilities of the classes, which order examples as probabilities do and do not run
together near 0 and 1. Ties count half in ROC AUC, and share one threshold in average precision, as in
scikit-learn. A class that all rows have, or none, has no value; the mean over classes leaves it out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tunesmith.metrics.match import as_label
from tunesmith.metrics.metric import Metric, ScoredRow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tunesmith.metrics.metric import Array

MOST_CLASSES = 100
"""Classes whose log-probabilities are kept with each example."""

Influence = Callable[["Array", "NDArray[np.bool_]"], "Array | None"]


def roc_auc(scores: Array, true: NDArray[np.bool_]) -> Array | None:
    """Each example's share in the area under the ROC curve; their mean is the area.

    The area A is the chance that an example of the class has the higher score. With F the share of the other
    side that is lower (ties half), an example of the class has ``A + n/P (F − A)``, another
    ``A + n/N (1 − F − A)`` (DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837-845).

    Args:
        scores: of the class, shape ``[n]``.
        true: whether the example is of the class, shape ``[n]``.

    Returns:
        Shape ``[n]``; ``None`` if all are of the class or none, or a score is not a number.
    """
    import numpy as np

    count, positives = len(true), int(true.sum())
    if not _ranks(scores, true):
        return None
    inside, outside = np.sort(scores[true]), np.sort(scores[~true])
    won = np.empty(count)
    for mine, others in ((true, outside), (~true, inside)):
        low, high = (np.searchsorted(others, scores[mine], side) for side in ("left", "right"))
        won[mine] = (low + high) / (2 * len(others))
    won[~true] = 1 - won[~true]
    area = float(won[true].mean())
    weight = np.where(true, count / positives, count / (count - positives))
    return np.asarray(area + weight * (won - area))


def average_precision(scores: Array, true: NDArray[np.bool_]) -> Array | None:
    """Each example's share in the average precision; their mean is the average precision.

    It is the mean over the class's examples of the precision among all that score at least as much,
    ``AP = 1/P Σ_i y_i A_i / B_i``. The shares are its derivatives by the weights of the examples (the
    infinitesimal jackknife, Jaeckel 1972):
    ``AP + n/P [y_j (A_j/B_j − AP) + Σ_{i: s_i ≤ s_j} y_i (y_j/B_i − A_i/B_i²)]``.

    Args:
        scores: of the class, shape ``[n]``.
        true: whether the example is of the class, shape ``[n]``.

    Returns:
        Shape ``[n]``; ``None`` if all are of the class or none, or a score is not a number.
    """
    import numpy as np

    count, positives = len(true), int(true.sum())
    if not _ranks(scores, true):
        return None
    order = np.argsort(-scores, kind="stable")
    score, hit = scores[order], true[order].astype(np.float64)
    last = np.searchsorted(-score, -score, "right") - 1  # of those that score the same
    first = np.searchsorted(-score, -score, "left")
    found, seen = np.cumsum(hit)[last], (last + 1).astype(np.float64)
    value = float((hit * found / seen).sum() / positives)
    # of all that score at most as much, from the first of those that score the same
    below = [np.cumsum(each[::-1])[::-1][first] for each in (hit / seen, hit * found / seen**2)]
    shares = hit * (found / seen - value) + hit * below[0] - below[1]
    result = np.empty(count)
    result[order] = value + count / positives * shares
    return result


def _ranks(scores: Array, true: NDArray[np.bool_]) -> bool:
    """Whether there are examples on both sides, each with a score."""
    import numpy as np

    return bool(true.any() and not true.all() and not np.isnan(scores).any())


def _table(rows: Sequence[ScoredRow]) -> tuple[list[str], Array]:
    """The labels, and each row's score of each, shape ``[n, labels]``; NaN where a row has none."""
    import numpy as np

    labels = list(rows[0].values)
    if all(list(row.values) == labels for row in rows):
        found = [list(row.values.values()) for row in rows]
    else:
        labels = list(dict.fromkeys(label for row in rows for label in row.values))
        found = [[row.values.get(label, math.nan) for label in labels] for row in rows]
    return [as_label(label) for label in labels], np.asarray(found, np.float64)


def _shares(of: Influence, label: str | None, rows: Sequence[ScoredRow]) -> Array | None:
    """The mean over classes, or of one of them; ``None`` without a value."""
    import numpy as np

    truth = np.array([as_label(row.reference) for row in rows])
    labels, scores = _table(rows)
    if np.isnan(scores).any() or (label is not None and label not in labels):
        return None
    chosen = range(len(labels)) if label is None else [labels.index(label)]
    found = [of(scores[:, place], truth == labels[place]) for place in chosen]
    known = [one for one in found if one is not None]
    return np.mean(known, axis=0) if known else None


def _value(of: Influence, label: str | None, rows: Sequence[ScoredRow]) -> float:
    found = _shares(of, label, rows)
    return math.nan if found is None else min(1.0, max(0.0, float(found.mean())))


def _of_class(name: str, of: Influence, label: str) -> Metric:
    return Metric(
        name=f"{name}[{label}]",
        needs="values",
        whole=partial(_value, of, as_label(label)),
        influence=partial(_shares, of, as_label(label)),
        contrasts=True,
        meaning=f"{_MEANINGS[name][1]} of class {label} against the rest",
    )


_MEANINGS: dict[str, tuple[Influence, str]] = {
    "roc_auc": (roc_auc, "area under the ROC curve"),
    "average_precision": (average_precision, "mean precision over the thresholds that find one more"),
}

METRICS = (
    *(
        Metric(
            name=name,
            needs="values",
            whole=partial(_value, of, None),
            influence=partial(_shares, of, None),
            contrasts=True,
            meaning=f"{meaning}, each class against the rest, averaged over classes",
        )
        for name, (of, meaning) in _MEANINGS.items()
    ),
    *(
        Metric(
            name=f"{name}[CLASS]",
            needs="values",
            of_class=partial(_of_class, name, of),
            contrasts=True,
            meaning=f"{meaning}, of one class by its label against the rest",
        )
        for name, (of, meaning) in _MEANINGS.items()
    ),
)

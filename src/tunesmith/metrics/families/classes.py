"""Predicted classes against true ones: all of them functions of how often each was right, predicted and true.

A ratio of nothing to nothing follows scikit-learn's ``zero_division=0``: a class that is never predicted has
precision 0, and in an average over classes it counts as 0. But the recall and the F1 of one class that no row
has have no value, as there is nothing to find.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from tunesmith.metrics.match import as_label, label_match
from tunesmith.metrics.metric import Metric, ScoredRow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tunesmith.metrics.metric import Array

LARGEST = 20_000_000
"""Statistics of more than this many numbers are not made: with so many labels resamples are cheaper."""
Score = Literal["precision", "recall", "f1"]
Average = Literal["macro", "micro", "weighted"]


def confusion_rows(rows: Sequence[ScoredRow]) -> Array | None:
    """Of each example and label: right, predicted, true. Shape ``[n, 3 labels]``; ``None`` if too large."""
    import numpy as np

    found = _codes(rows)
    labels = int(found.max()) + 1
    if 3 * labels * len(rows) > LARGEST:
        return None
    hot = np.eye(labels)
    predicted, true = hot[found[0]], hot[found[1]]
    return np.concatenate([predicted * true, predicted, true], axis=-1)


def _codes(rows: Sequence[ScoredRow]) -> NDArray[np.int64]:
    """Numbers of the labels predicted and true, shape ``[2, n]``, in the order of the labels' texts."""
    import numpy as np

    ours, theirs = [as_label(row.prediction) for row in rows], [as_label(row.reference) for row in rows]
    return np.unique(np.asarray(ours + theirs), return_inverse=True)[1].reshape(2, -1).astype(np.int64)


def _value(combine: Callable[[Array], Array], rows: Sequence[ScoredRow]) -> float:
    """The metric of all rows together, without a table of each row."""
    import numpy as np

    predicted, true = _codes(rows)
    size = int(max(predicted.max(), true.max())) + 1
    counts = [np.bincount(each, minlength=size) for each in (predicted[predicted == true], predicted, true)]
    return float(combine(np.concatenate(counts).astype(np.float64)))


def _divided(above: Array, below: Array, nothing: float = 0.0) -> Array:
    import numpy as np

    return np.divide(above, below, out=np.full_like(below, nothing), where=below > 0)


def _each_class(score: Score, hits: Array, predicted: Array, true: Array) -> Array:
    if score == "precision":
        return _divided(hits, predicted)
    return _divided(hits, true) if score == "recall" else _divided(2 * hits, predicted + true)


def _averaged(score: Score, average: Average, sums: Array) -> Array:
    """Over the labels that stand in predictions or references; weighted: by how often each is true."""
    import numpy as np

    hits, predicted, true = np.split(sums, 3, axis=-1)
    if average == "micro":
        hits, predicted, true = (part.sum(axis=-1) for part in (hits, predicted, true))
        return _each_class(score, hits, predicted, true)
    each = _each_class(score, hits, predicted, true)
    if average == "weighted":
        return _divided((each * true).sum(axis=-1), true.sum(axis=-1))
    return np.asarray(each.sum(axis=-1) / np.maximum((predicted + true > 0).sum(axis=-1), 1))


def _balanced_accuracy(sums: Array) -> Array:
    """Mean recall of the labels that are true somewhere."""
    import numpy as np

    hits, _, true = np.split(sums, 3, axis=-1)
    return np.asarray(_divided(hits, true).sum(axis=-1) / np.maximum((true > 0).sum(axis=-1), 1))


def _matthews(sums: Array) -> Array:
    """Matthews correlation over any number of classes (Gorodkin 2004, Comput. Biol. Chem. 28:367-374).

    With s examples, c of them right, p_k predicted and t_k true of class k:
    ``(c s − Σ p t) / sqrt((s² − Σ p²)(s² − Σ t²))``; 0 if all predictions, or all references, are one class.
    """
    import numpy as np

    hits, predicted, true = np.split(sums, 3, axis=-1)
    right, size = hits.sum(axis=-1), true.sum(axis=-1)
    spread = (size**2 - (predicted**2).sum(axis=-1)) * (size**2 - (true**2).sum(axis=-1))
    found = _divided(right * size - (predicted * true).sum(axis=-1), np.sqrt(np.maximum(spread, 0)))
    return np.asarray(np.clip(found, -1.0, 1.0))


def _rows_of_class(label: str, rows: Sequence[ScoredRow]) -> Array:
    import numpy as np

    predicted = np.array([as_label(row.prediction) == label for row in rows], np.float64)
    true = np.array([as_label(row.reference) == label for row in rows], np.float64)
    return np.stack([predicted * true, predicted, true], axis=-1)


def _score_of_class(score: Score, sums: Array) -> Array:
    import numpy as np

    hits, predicted, true = np.moveaxis(np.asarray(sums, np.float64), -1, 0)
    if score == "precision":
        return _divided(hits, predicted, 0.0) + np.where((predicted + true) > 0, 0.0, math.nan)
    if score == "recall":
        return _divided(hits, true, math.nan)
    return _divided(2 * hits, predicted + true, math.nan)


def _of_class(score: Score, label: str) -> Metric:
    return Metric(
        name=f"{score}[{label}]",
        needs="label",
        statistics=partial(_rows_of_class, as_label(label)),
        combine=partial(_score_of_class, score),
        meaning=f"{_MEANINGS[score]} of class {label}",
        contrasts=True,
    )


_MEANINGS: dict[Score, str] = {
    "precision": "share of the predictions of a class that are right",
    "recall": "share of a class's examples that are found",
    "f1": "harmonic mean of precision and recall",
}
_AVERAGES: dict[Average, str] = {
    "macro": "averaged over labels",
    "micro": "over all labels together",
    "weighted": "averaged over labels by their frequency",
}


def _averages() -> Iterator[Metric]:
    for average, how in _AVERAGES.items():
        for score, what in _MEANINGS.items():
            combine = partial(_averaged, score, average)
            yield Metric(
                name=f"{average}_{score}",
                needs="label",
                statistics=confusion_rows,
                combine=combine,
                whole=partial(_value, combine),
                contrasts=average != "micro",
                meaning=f"F1 of each label, {how}" if score == "f1" else f"{what}, {how}",
            )


def _per_class() -> Iterator[Metric]:
    for score, what in _MEANINGS.items():
        meaning = f"{what}, of one class by its label"
        yield Metric(
            name=f"{score}[CLASS]",
            needs="label",
            of_class=partial(_of_class, score),
            contrasts=True,
            meaning=meaning,
        )


METRICS = (
    Metric(
        name="accuracy",
        needs="label",
        each=lambda row: label_match(row.prediction, row.reference),
        proportion=True,
        meaning="share of right labels",
    ),
    *_averages(),
    Metric(
        name="balanced_accuracy",
        needs="label",
        statistics=confusion_rows,
        combine=_balanced_accuracy,
        whole=partial(_value, _balanced_accuracy),
        contrasts=True,
        meaning="recall of each true label, averaged over labels",
    ),
    Metric(
        name="mcc",
        needs="label",
        low=-1.0,
        statistics=confusion_rows,
        combine=_matthews,
        whole=partial(_value, _matthews),
        contrasts=True,
        meaning="Matthews correlation; 0 if only one class is predicted or true",
    ),
    *_per_class(),
)

"""Entities found in a text against true ones, from the tags of its words in BIO, BIOES or without prefixes.

Predictions and references are tags parted by blanks. An entity counts if its words and its label are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from tunesmith.metrics.metric import Metric, ScoredRow

if TYPE_CHECKING:
    from tunesmith.metrics.metric import Array

OUTSIDE = "O"
"""The tag of a word that belongs to no entity."""
_BEGINS, _ENDS = frozenset("BSU"), frozenset("ESLU")
_PREFIXES = _BEGINS | _ENDS | {"I", "M"}
Entity = tuple[int, int, str]
"""First word, the word behind the last, label."""


def entities(tags: Sequence[str]) -> list[Entity]:
    """The entities of a sentence, as the CoNLL-2000 script reads tags: a new label begins one in any case.

    Tags without a prefix make one entity of each run of the same tag.
    """
    found: list[Entity] = []
    opened: tuple[int, str] | None = None
    ended = False
    for place, tag in enumerate([*tags, OUTSIDE]):
        prefix, label = parts_of(tag)
        begins = opened is None or ended or prefix in _BEGINS or opened[1] != label
        if opened is not None and (tag == OUTSIDE or begins):
            found.append((opened[0], place, opened[1]))
        if tag == OUTSIDE:
            opened = None
        elif begins:
            opened = (place, label)
        ended = prefix in _ENDS
    return found


def parts_of(tag: str) -> tuple[str, str]:
    """``B-PER`` as ``B`` and ``PER``; a tag without a prefix has an empty one."""
    prefix, dash, label = tag.partition("-")
    return (prefix, label) if dash and label and prefix in _PREFIXES else ("", tag)


def _counted(rows: Sequence[ScoredRow]) -> Array:
    """Of each example: entities found and true, found, true. Shape ``[n, 3]``."""
    import numpy as np

    counts = []
    for row in rows:
        ours, theirs = (set(entities(str(tags).split())) for tags in (row.prediction, row.reference))
        counts.append([len(ours & theirs), len(ours), len(theirs)])
    return np.asarray(counts, np.float64).reshape(-1, 3)


def _score(score: str, sums: Array) -> Array:
    """From the sums; none of none is 0, as in seqeval."""
    import numpy as np

    hits, found, true = (sums[..., column] for column in range(3))
    below = {"precision": found, "recall": true, "f1": (found + true) / 2}[score]
    return np.divide(hits, below, out=np.zeros_like(below), where=below > 0)


METRICS = tuple(
    Metric(
        name=f"entity_{score}",
        meaning=meaning,
        statistics=_counted,
        combine=partial(_score, score),
    )
    for score, meaning in (
        ("f1", "harmonic mean of precision and recall of entities"),
        ("precision", "share of the entities found that are true"),
        ("recall", "share of the true entities that are found"),
    )
)

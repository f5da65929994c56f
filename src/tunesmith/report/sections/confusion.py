"""The confusion matrix as a heat table, and the pairs that are mixed up most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith import numbers
from tunesmith.report.run_files import Record, RunFiles

MOST_LABELS = 40
MOST_PAIRS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One count; ``heat`` is its share of the row (0 to 100), ``right`` whether it lies on the diagonal."""

    count: int
    heat: int
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthRow:
    """All predictions for one true label.

    Attributes:
        label: the class.
        cells: how often it was said to be each of the labels shown.
        total: rows of the class.
        precision: share of the rows said to be of the class that are.
        recall: share of the rows of the class that were said to be.
        f1: harmonic mean of the two.
    """

    label: str
    cells: tuple[Cell, ...]
    total: int
    precision: str
    recall: str
    f1: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """The matrix, the worst mix-ups and how many labels were left out."""

    labels: tuple[str, ...]
    rows: tuple[TruthRow, ...]
    pairs: tuple[tuple[str, str, int], ...]
    left_out: int


def confusion(run: RunFiles) -> Confusion | None:
    """The matrix of ``confusion.json``; beyond ``MOST_LABELS`` labels only those with the most mistakes."""
    return None if run.confusion is None else confusion_table(run.confusion)


def confusion_table(found: Record) -> Confusion | None:
    """The matrix of ``labels`` and ``counts``, ``None`` if they do not fit each other."""
    labels = [str(label) for label in found.get("labels") or ()]
    counts = [[int(count) for count in row] for row in found.get("counts") or ()]
    if not labels or len(counts) != len(labels) or any(len(row) != len(labels) for row in counts):
        return None
    shown = _shown(counts)
    said = [sum(row[j] for row in counts) for j in range(len(labels))]
    return Confusion(
        labels=tuple(labels[j] for j in shown),
        rows=tuple(_row(labels[i], counts[i], i, shown, said[i]) for i in shown),
        pairs=_pairs(labels, counts),
        left_out=len(labels) - len(shown),
    )


def _shown(counts: Sequence[Sequence[int]]) -> list[int]:
    size = len(counts)
    if size <= MOST_LABELS:
        return list(range(size))
    mistakes = [sum(counts[i]) + sum(row[i] for row in counts) - 2 * counts[i][i] for i in range(size)]
    return sorted(sorted(range(size), key=lambda i: -mistakes[i])[:MOST_LABELS])


def _row(label: str, counts: Sequence[int], truth: int, shown: Sequence[int], said: int) -> TruthRow:
    total, right = sum(counts), counts[truth]
    cells = tuple(
        Cell(count=counts[j], heat=round(100 * counts[j] / total) if total else 0, right=j == truth)
        for j in shown
    )
    return TruthRow(
        label=label,
        cells=cells,
        total=total,
        precision=_share(right, said),
        recall=_share(right, total),
        f1=_share(2 * right, total + said),
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else numbers.ABSENT


def _pairs(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> tuple[tuple[str, str, int], ...]:
    size = range(len(labels))
    wrong = [(labels[i], labels[j], counts[i][j]) for i in size for j in size if i != j and counts[i][j]]
    return tuple(sorted(wrong, key=lambda pair: -pair[2])[:MOST_PAIRS])

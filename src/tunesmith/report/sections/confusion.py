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
    """All predictions for one true label; ``recall`` is the share of them that is right."""

    label: str
    cells: tuple[Cell, ...]
    total: int
    recall: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """The matrix, the precision of each column, the worst mix-ups and how many labels were left out."""

    labels: tuple[str, ...]
    rows: tuple[TruthRow, ...]
    precisions: tuple[str, ...]
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
    return Confusion(
        labels=tuple(labels[j] for j in shown),
        rows=tuple(_row(labels[i], counts[i], i, shown) for i in shown),
        precisions=tuple(_share(counts[j][j], sum(row[j] for row in counts)) for j in shown),
        pairs=_pairs(labels, counts),
        left_out=len(labels) - len(shown),
    )


def _shown(counts: Sequence[Sequence[int]]) -> list[int]:
    size = len(counts)
    if size <= MOST_LABELS:
        return list(range(size))
    mistakes = [sum(counts[i]) + sum(row[i] for row in counts) - 2 * counts[i][i] for i in range(size)]
    return sorted(sorted(range(size), key=lambda i: -mistakes[i])[:MOST_LABELS])


def _row(label: str, counts: Sequence[int], truth: int, shown: Sequence[int]) -> TruthRow:
    total = sum(counts)
    cells = tuple(
        Cell(count=counts[j], heat=round(100 * counts[j] / total) if total else 0, right=j == truth)
        for j in shown
    )
    return TruthRow(label=label, cells=cells, total=total, recall=_share(counts[truth], total))


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else numbers.ABSENT


def _pairs(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> tuple[tuple[str, str, int], ...]:
    size = range(len(labels))
    wrong = [(labels[i], labels[j], counts[i][j]) for i in size for j in size if i != j and counts[i][j]]
    return tuple(sorted(wrong, key=lambda pair: -pair[2])[:MOST_PAIRS])

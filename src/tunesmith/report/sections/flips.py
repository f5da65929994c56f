"""Examples whose answer flipped from wrong to right by tuning, and those that flipped back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.report.run_files import RunFiles
from tunesmith.report.sections.samples import Fate, SampleRow, as_sample, is_judged, samples
from tunesmith.tasks.task import Scored

MOST_SHOWN = 12
"""Of each kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """What flipped.

    Attributes:
        gained: from wrong to right; the first ``MOST_SHOWN``.
        lost: from right to wrong; the first ``MOST_SHOWN``.
        others: samples that did not flip.
        tally: fate to how many examples met it, the good news first.
        examples: how many examples the tally counts.
        whole: whether these are all that were scored before and after, not only a few samples.
        rows: of the evaluation set, as far as the run scored it.
    """

    gained: tuple[SampleRow, ...]
    lost: tuple[SampleRow, ...]
    others: tuple[SampleRow, ...]
    tally: tuple[tuple[Fate, int], ...]
    examples: int
    whole: bool
    rows: int


def flips(run: RunFiles) -> Flips | None:
    """From the scores of every example where both files are there, else from the samples."""
    shown, compared = samples(run), _compared(run)
    everything = compared or shown
    if not everything:
        return None
    gained = [sample for sample in everything if sample.fate == "wrong → right"]
    lost = [sample for sample in everything if sample.fate == "right → wrong"]
    flipped = {sample.id for sample in (*gained, *lost)}
    return Flips(
        gained=tuple(gained[:MOST_SHOWN]),
        lost=tuple(lost[:MOST_SHOWN]),
        others=tuple(sample for sample in shown if sample.id not in flipped),
        tally=tuple(tally(everything)),
        examples=len(everything),
        whole=bool(compared),
        rows=len(run.scores or ()),
    )


def _compared(run: RunFiles) -> list[SampleRow]:
    """Every example of the evaluation set with both answers, where right and wrong can be told."""
    if not run.scores or not run.baseline_scores or not is_judged(run):
        return []
    before = {one.id: one for one in run.baseline_scores}
    return [_pair(before[one.id], one) for one in run.scores if one.id in before]


def _pair(before: Scored, after: Scored) -> SampleRow:
    found = {
        "id": after.id,
        "input": after.input or before.input,
        "reference": after.reference,
        "before": before.prediction,
        "after": after.prediction,
    }
    return as_sample(found, after.id, judged=True)


def tally(shown: Sequence[SampleRow]) -> list[tuple[Fate, int]]:
    """How many samples met which fate, the good news first."""
    order: tuple[Fate, ...] = ("wrong → right", "right → wrong", "right", "wrong", "closer", "farther")
    counts = [(kind, sum(sample.fate == kind for sample in shown)) for kind in order]
    return [(kind, count) for kind, count in counts if count]

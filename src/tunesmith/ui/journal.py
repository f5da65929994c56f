"""The evaluations and the last steps of a run that goes on, brought up to date from its journal."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tunesmith.live.tail import Place, read_new
from tunesmith.report.read import Record, add_record

LAST_STEPS = 30
STEP = b'{"kind": "train"'
"""How a training line begins; all but the last of them are not even parsed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """How far a journal was read, its last training lines, all its evaluations, and whether more is there."""

    place: Place = field(default_factory=Place)
    train: tuple[Record, ...] = ()
    evals: tuple[Record, ...] = ()
    more: bool = False


def advance(path: Path, before: Journal) -> Journal:
    """The journal as it is now; ``before`` is what this gave the last time."""
    news = read_new(path, before.place, skip=STEP, skip_but=LAST_STEPS)
    if not news.records and not news.anew:
        return Journal(place=news.place, train=before.train, evals=before.evals, more=news.more)
    old = Journal() if news.anew else before
    kept: dict[str, list[Record]] = {"train": list(old.train), "eval": list(old.evals)}
    for record in news.records:
        add_record(kept, record)
    train, evals = tuple(kept["train"][-LAST_STEPS:]), tuple(kept["eval"])
    return Journal(place=news.place, train=train, evals=evals, more=news.more)

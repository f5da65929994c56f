"""A run's files as values that are brought up to date: only what changed is read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunesmith.live.liveness import Liveness, liveness_of
from tunesmith.live.tail import FilePosition, read_new
from tunesmith.report.run_files import Record, RunFiles, add_record, read_facts

FILES = ("recipe.yaml", "result.json", "environment.json", "data.json", "plan.txt", "variants.json")
MOST_STEPS = 20_000
KEPT = ("kind", "step", "epoch", "loss", "learning_rate", "grad_norm", "tokens", "seconds", "memory_bytes")
"""Keys of a training line that a live view needs; with the others a long run would fill the memory."""

Stamps = Mapping[str, tuple[int, int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A run at one moment.

    Attributes:
        run: its files; of very many steps the older ones are thinned. A result is there only if the run
            has ended: that of an earlier try, which goes on now, is left out.
        life: whether it goes on.
        place: how far the journal was read.
        stamps: inode, size and time of the small files, as they were read.
        facts: these files, without the journal.
    """

    run: RunFiles
    facts: RunFiles
    life: Liveness
    place: FilePosition
    stamps: Stamps


def follow_journal(run_dir: Path, before: Followed | None = None) -> Followed:
    """The run as it is now; ``before`` is what this gave the last time."""
    stamps = _stamps(run_dir)
    facts = read_facts(run_dir) if before is None or before.stamps != stamps else before.facts
    news = read_new(run_dir / "metrics.jsonl", before.place if before else FilePosition())
    fresh = before is None or news.anew
    train, evals = ((), ()) if fresh or before is None else (before.run.train, before.run.evals)
    train, evals = _merged(train, evals, news.records) if news.records or fresh else (train, evals)
    while news.more:
        news = read_new(run_dir / "metrics.jsonl", news.place)
        train, evals = _merged(train, evals, news.records)
    life = liveness_of(run_dir, facts.result)
    result = facts.result if life.phase == "ended" else None
    return Followed(
        run=replace(facts, train=train, evals=evals, result=result),
        facts=facts,
        life=life,
        place=news.place,
        stamps=stamps,
    )


def _stamps(run_dir: Path) -> Stamps:
    found = {}
    for name in FILES:
        try:
            status = (run_dir / name).lstat()
        except OSError:
            continue
        found[name] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found


def _merged(
    train: Sequence[Record], evals: Sequence[Record], records: Sequence[Record]
) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    kept: dict[str, list[Record]] = {"train": list(train), "eval": list(evals)}
    for record in records:
        slim = {key: record[key] for key in KEPT if key in record} if record["kind"] == "train" else record
        add_record(kept, slim)
    steps = kept["train"]
    while len(steps) > MOST_STEPS:
        half = len(steps) // 2
        steps[:half] = steps[:half:2]
    return tuple(steps), tuple(kept["eval"])

"""A run directory as one line of a list: little is read of it, since there may be a thousand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from tunesmith.checkpoint.plain_file import open_plain
from tunesmith.live.liveness import FINAL, liveness_of
from tunesmith.live.tail import FilePosition, read_new
from tunesmith.metrics.table import direction
from tunesmith.report.run_files import Record, RunFiles, add_record, parse_json_text
from tunesmith.report.sections.cost import expected_end, pace
from tunesmith.report.summary import (
    Tone,
    baseline,
    best,
    chief_metric,
    error_of,
    metrics_of,
    summarise_run,
    targets,
)

Summary = dict[str, Any]
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MOST_RECIPE, MOST_RESULT, MOST_TEXT, MOST_DETAIL = 200_000, 2_000_000, 400, 1000
WORDS: Mapping[str, tuple[Tone, str]] = {
    "waiting": ("plain", "Not begun"),
    "running": ("going", "Running"),
    "silent": ("warn", "No sign of life"),
    "lost": ("bad", "Lost"),
}
"""Phase to tone and words, where the run has not ended."""


def summary_of_run(run_dir: Path, name: str, before: Journal) -> tuple[Summary, Journal]:
    """One run in values that JSON can hold, and its journal as far as it was read.

    Args:
        run_dir: the directory.
        name: what the list calls it.
        before: the journal that this gave the last time.
    """
    run, journal = _outline(run_dir, before)
    life = liveness_of(run_dir, run.result)
    if run.variants is not None:  # the parent of runs is none itself
        life = replace(life, phase="ended")
    if life.phase != "ended":  # the result is that of an earlier try, which goes on now
        run = replace(run, result=None)
    story, metric = summarise_run(run), chief_metric(run)
    tone, word = WORDS.get(life.phase, (story.tone, _ending(run, story.headline)))
    now, first = best(run), metrics_of(baseline(run)).get(metric)
    latest = now if life.phase == "ended" else (run.evals[-1] if run.evals else now)
    told = f"The run is {life.phase}: {life.told}." if life.phase in ("silent", "lost") else story.detail
    summary = {
        "name": name,
        "task": str(run.recipe.get("task") or "")[:MOST_TEXT],
        "phase": life.phase,
        "tone": tone,
        "state": word,
        "headline": story.headline[:MOST_TEXT],
        "detail": told[:MOST_DETAIL],
        "reason": _reason(run)[:MOST_TEXT],
        "metric": metric,
        "better": direction(metric.partition("[")[0]),
        "value": _finite(metrics_of(latest).get(metric)),
        "interval": _bounds(latest, metric),
        "baseline": _finite(first),
        "targets": {key: value for key, value in targets(run.recipe).items() if math.isfinite(value)},
        "target": _finite(targets(run.recipe).get(metric)),
        "kept": (now or {}).get("step"),
        **_extent(run),
    }
    return summary, journal


def unreadable(name: str, why: str) -> Summary:
    """The line of a run whose files make no sense."""
    unknown = ("value", "interval", "baseline", "target", "kept", "step", "last_step", "seconds")
    return {
        "name": name,
        "task": "",
        "phase": "silent",
        "tone": "bad",
        "state": "Cannot be read",
        "headline": "This run cannot be read",
        "detail": why[:MOST_DETAIL],
        "reason": why[:MOST_TEXT],
        "metric": "",
        "better": "max",
        "targets": {},
        **dict.fromkeys(unknown),
    }


def _outline(run_dir: Path, before: Journal) -> tuple[RunFiles, Journal]:
    """What a list needs of a run's files: the journal only where no result says how it went."""
    result = _object(run_dir / "result.json")
    ended = result is not None and result.get("status") in FINAL
    journal = Journal() if ended else advance(run_dir / "metrics.jsonl", before)
    run = RunFiles(
        run_dir=run_dir,
        recipe_text="",
        recipe=_goals(_start(run_dir / "recipe.yaml", MOST_RECIPE)),
        train=journal.train,
        evals=journal.evals,
        plan="",
        result=result,
        environment=None,
        data=None,
        samples=None,
        preview=None,
        confusion=None,
        variants=_object(run_dir / "variants.json"),
        scores=None,
        baseline_scores=None,
        problems=(),
    )
    return run, journal


def _goals(text: str) -> Record:
    """``task``, ``eval`` and ``stop`` of a recipe; parsing all of it would take most of the time."""
    wanted, keep = [], False
    for line in text.splitlines(keepends=True):
        if line[:1].isalpha():
            keep = line.startswith(("task:", "eval:", "stop:"))
        if keep:
            wanted.append(line)
    return _parsed("".join(wanted))


@lru_cache(maxsize=256)
def _parsed(text: str) -> Record:
    """A sweep has a thousand recipes whose goals are the same."""
    try:
        found = LOADER(text).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _ending(run: RunFiles, headline: str) -> str:
    """The opening of the headline: what kind of end it was."""
    if run.variants is not None:
        return "Variants"
    return headline.partition(":")[0].partition(" at step ")[0].partition(". ")[0]


def _reason(run: RunFiles) -> str:
    stop = _mapping((run.result or {}).get("stop"))
    last = _mapping(run.evals[-1].get("verdict")) if run.evals else {}
    return str(stop.get("reason") or error_of(run.result or {})[0] or last.get("reason") or "")


def _extent(run: RunFiles) -> dict[str, Any]:
    """Steps and seconds so far, and the step at which the budget ends."""
    result = run.result or {}
    stop, went = _mapping(result.get("stop")).get("step"), pace(run)
    seconds = _mapping(result.get("throughput")).get("seconds")
    step = max([record["step"] for record in (*run.train, *run.evals)], default=None)
    return {
        "step": step if step is not None else stop if isinstance(stop, int) else None,
        "last_step": expected_end(run, went) if went else None,
        "seconds": _finite(went.seconds if went else seconds),
    }


def _bounds(record: Record | None, metric: str) -> list[float] | None:
    pair = _mapping((record or {}).get("intervals")).get(metric)
    if not isinstance(pair, list | tuple) or len(pair) != 2 or any(_finite(end) is None for end in pair):
        return None
    return [float(pair[0]), float(pair[1])]


def _start(path: Path, most: int) -> str:
    try:
        with open(open_plain(path), "rb") as file:
            return file.read(most).decode("utf-8", "replace")
    except OSError:
        return ""


def _object(path: Path) -> Record | None:
    text = _start(path, MOST_RESULT)
    try:
        found = parse_json_text(text) if text.strip() else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


LAST_STEPS = 30
STEP = b'{"kind": "train"'
"""How a training line begins; all but the last of them are not even parsed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """How far a journal was read, its last training lines, all its evaluations, and whether more is there."""

    place: FilePosition = field(default_factory=FilePosition)
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

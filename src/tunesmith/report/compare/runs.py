"""Runs beside each other: which is better on the examples that they share, and how surely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith import numbers
from tunesmith.errors import UserError
from tunesmith.metrics.table import direction
from tunesmith.report.compare.paired import PairedRows, compare_rows, holm, mcnemar, statistics_of
from tunesmith.report.run_files import Record, RunFiles, read_run
from tunesmith.report.sections.cost import pace
from tunesmith.report.sections.slices import is_slice
from tunesmith.report.summary import best, chief_metric, metrics_of
from tunesmith.tasks.task import Scored

SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRun:
    """One run: its name, the step kept, its metrics, what it took where that is known, and its recipe."""

    name: str
    step: int | None
    metrics: Mapping[str, float]
    intervals: Mapping[str, Sequence[float]]
    seconds: float | None
    tokens: int | None
    status: str
    trained: int | None
    recipe: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """A run against the first one by one metric.

    Attributes:
        run: its name.
        paired: the comparison.
        adjusted: the p-value after Holm, over all runs compared by this metric.
        verdict: ``better``, ``worse``, ``no difference seen`` or ``not tested``.
        why: what has to be said to it; empty if nothing has.
    """

    run: str
    paired: PairedRows
    adjusted: float | None
    verdict: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything the table and the page show.

    Attributes:
        entries: the runs, in the order given; the first is what the others are compared with.
        metrics: compared, the one that the first run is about first.
        contrasts: metric to a contrast for each further run.
        notes: what a reader has to know: examples left out, other recipes, missing scores.
        examples: pairs compared; 0 if no scores were written.
    """

    entries: tuple[ComparedRun, ...]
    metrics: tuple[str, ...]
    contrasts: Mapping[str, tuple[Contrast, ...]]
    notes: tuple[str, ...]
    examples: int


def compare_runs(run_dirs: Sequence[Path], metric: str | None = None, *, seed: int = 0) -> Comparison:
    """Compare runs with the first of them, on the evaluation examples that all of them share.

    Args:
        run_dirs: two or more.
        metric: compare by this one alone; default: every metric that all of them measured, but for those
            of slices.
        seed: of the resamples.

    Raises:
        UserError: for fewer than two runs, one that is no run directory, a metric that they do not
            share, or evaluation sets without a common example.
    """
    if len(run_dirs) < 2:
        raise UserError("a comparison takes two runs or more", hint="name their directories: RUN RUN …")
    runs = [read_run(path) for path in run_dirs]
    names = _names(run_dirs)
    metrics = _metrics(runs, names, metric)
    notes = [f"{name}: {problem}" for name, run in zip(names, runs, strict=True) for problem in run.problems]
    scores, missing = _scores(runs, names)
    if missing:
        notes.append(missing)
    common, left_out = _common(scores, names) if scores else ([], [])
    contrasts = {name: _contrasts(name, names, common, seed) for name in metrics} if common else {}
    return Comparison(
        entries=tuple(_entry(name, run) for name, run in zip(names, runs, strict=True)),
        metrics=metrics,
        contrasts={name: found for name, found in contrasts.items() if found},
        notes=(*notes, *left_out, *_without_test(metrics, contrasts)),
        examples=len(common[0]) if common else 0,
    )


def _names(paths: Sequence[Path]) -> list[str]:
    """The shortest endings of the paths that tell them apart."""
    parts = [path.absolute().parts for path in paths]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-count:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise UserError("a run is named twice", hint="compare different runs")


def _metrics(runs: Sequence[RunFiles], names: Sequence[str], wanted: str | None) -> tuple[str, ...]:
    measured = [metrics_of(best(run)) for run in runs]
    for name, found in zip(names, measured, strict=True):
        if not found:
            raise UserError(f"`{name}` has measured nothing yet", hint="wait for its first evaluation")
    shared = [name for name in measured[0] if all(name in found for found in measured)]
    if wanted is not None and wanted not in shared:
        raise UserError(
            f"`{wanted}` was not measured in every run",
            hint=f"all of them measured {', '.join(shared)}" if shared else "they share no metric",
        )
    if not shared:
        raise UserError("these runs share no metric", hint="compare runs of one task")
    chief = chief_metric(runs[0])
    order = [chief, "loss", *(name for name in shared if not is_slice(name))]
    return (wanted,) if wanted else tuple(dict.fromkeys(name for name in order if name in shared))


def _scores(runs: Sequence[RunFiles], names: Sequence[str]) -> tuple[list[tuple[Scored, ...]], str]:
    found = [run.scores or () for run in runs]
    without = [name for name, scores in zip(names, found, strict=True) if not scores]
    if not without:
        return found, ""
    what = f"{', '.join(without)}: no scores.jsonl with the score of each example"
    return [], f"{what}, so there is no paired test and the values stand side by side only"


def _common(
    scores: Sequence[tuple[Scored, ...]], names: Sequence[str]
) -> tuple[list[list[Scored]], list[str]]:
    """The scores of the examples that all runs share, in the first one's order, and what was left out."""
    by_id = [{one.id: one for one in found} for found in scores]
    shared = [one.id for one in scores[0] if all(one.id in found for found in by_id)]
    same = [key for key in shared if len({str(found[key].reference) for found in by_id}) == 1]
    if not same:
        other = "the same ids with other answers" if shared else "no example in common"
        raise UserError(
            f"these runs were evaluated on different sets: {other}",
            where=", ".join(names),
            hint="compare runs with the same `data.eval` (and, for a holdout, the same data and seed)",
        )
    notes = []
    largest = max(map(len, scores))
    if len(shared) < largest:
        sizes = ", ".join(f"{name} {len(found):,}" for name, found in zip(names, scores, strict=True))
        notes.append(f"the evaluation sets differ ({sizes}): compared on the {len(same):,} common examples")
    if len(same) < len(shared):
        notes.append(f"{len(shared) - len(same):,} examples have other references in some run; left out")
    return [[found[key] for key in same] for found in by_id], notes


def _contrasts(
    metric: str, names: Sequence[str], common: Sequence[Sequence[Scored]], seed: int
) -> tuple[Contrast, ...]:
    if any(statistics_of(metric, scored) is None for scored in common):
        return ()
    paired = {
        name: compare_rows(metric, common[0], scored, seed=seed)
        for name, scored in zip(names[1:], common[1:], strict=True)
    }
    tested = {name: found.p_value for name, found in paired.items() if found.p_value is not None}
    adjusted = holm(tested)
    return tuple(
        Contrast(
            run=name,
            paired=found,
            adjusted=adjusted.get(name),
            verdict=_verdict(found, adjusted.get(name)),
            why=_why(found, adjusted.get(name)),
        )
        for name, found in paired.items()
    )


def _verdict(paired: PairedRows, p_value: float | None) -> str:
    if p_value is None:
        return "not tested"
    if p_value >= SIGNIFICANT:
        return "no difference seen"
    up = paired.difference > 0
    return "better" if up == (direction(paired.metric) == "max") else "worse"


def _why(paired: PairedRows, p_value: float | None) -> str:
    """Why no difference counts as seen, or why the one that is seen is not what most examples say."""
    if p_value is None:
        return "the score of some example is not a finite number"
    better, worse = paired.better or 0, paired.worse or 0
    if paired.better is not None and not better + worse:
        return "the same on every example"
    verdict, most = _verdict(paired, p_value), "better" if better > worse else "worse"
    many, few = max(better, worse), min(better, worse)
    if verdict != most and better + worse and mcnemar(better, worse) < SIGNIFICANT:
        others = "the one other" if few == 1 else f"the {few:,} others"
        changed = f"{many:,} examples are {most}, but {others} changed by more"
        return changed if few else f"{many:,} examples are {most}, by too little each to show in the whole"
    if verdict != "no difference seen":
        return ""
    return f"chance alone gives as large a one in {numbers.percent(min(0.99, round(p_value, 2)))} of cases"


def _without_test(metrics: Sequence[str], contrasts: Mapping[str, tuple[Contrast, ...]]) -> list[str]:
    without = [name for name in metrics if name in contrasts and not contrasts[name]]
    return [f"{', '.join(without)}: not made of scores of examples, so not tested"] if without else []


def _entry(name: str, run: RunFiles) -> ComparedRun:
    kept, went = best(run), pace(run)
    intervals = (kept or {}).get("intervals")
    trained = (run.environment or {}).get("trained_parameters")
    return ComparedRun(
        name=name,
        step=(kept or {}).get("step"),
        metrics=metrics_of(kept),
        intervals=intervals if isinstance(intervals, Mapping) else {},
        seconds=went.seconds if went else None,
        tokens=went.tokens if went else None,
        status=str((run.result or {}).get("status") or "running"),
        trained=trained if isinstance(trained, int) else None,
        recipe=run.recipe,
    )

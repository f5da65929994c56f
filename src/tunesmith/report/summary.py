"""How a run went, in words: the page's first line, and which measurement stands for what. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunesmith import numbers
from tunesmith.metrics.table import direction
from tunesmith.report.run_files import Record, RunFiles, all_rules

Tone = Literal["good", "plain", "warn", "bad", "going"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The verdict in words.

    Attributes:
        tone: how it should look.
        headline: ``Good enough at step 120: exact_match 0.87 reached 0.85``.
        detail: what is in ``model/`` now, or what to do; one or two sentences.
    """

    tone: Tone
    headline: str
    detail: str


RULES: Mapping[str, tuple[Tone, str]] = {
    "target": ("good", "Good enough"),
    "plateau": ("plain", "Stopped improving"),
    "overfitting": ("plain", "Stopped before overfitting"),
    "forecast": ("plain", "Going on is not worth it"),
    "guard": ("bad", "Forgets what it could do"),
    "missing": ("bad", "A metric has no value"),
    "divergence": ("bad", "Diverged"),
    "nonfinite": ("bad", "Broke down"),
    "budget": ("plain", "Budget spent"),
    "request": ("plain", "Ended on request"),
}
"""Rule to tone and opening words."""

STATES: Mapping[str, tuple[Tone, str]] = {
    "completed": ("plain", "Finished"),
    "stopped": ("plain", "Stopped"),
    "preempted": ("warn", "Interrupted, can be continued"),
    "failed": ("bad", "Failed"),
}
"""Status to tone and opening words, where no rule says more."""


def summarise_run(run: RunFiles) -> Summary:
    """The story of a run, whatever its state."""
    if run.variants is not None:
        return _tell_variants(run.variants)
    if run.result is None:
        return _tell_going(run)
    status, stop = str(run.result.get("status", "")), _mapping(run.result.get("stop"))
    rule = str(stop.get("rule") or "")
    tone, opening = STATES.get(status, ("plain", "Ended"))
    if status in ("completed", "stopped") or rule == "missing":
        tone, opening = RULES.get(_rule_key(rule), (tone, opening))
        if tone == "plain" and targets(run.recipe):
            tone, opening = "warn", f"Not good enough yet. {opening}"
        if rule == "target" and stop.get("step") == 0:
            tone, opening = "warn", "The target asks for nothing"
    error, hint = error_of(run.result)
    reason, detail = str(stop.get("reason") or error), _detail(run, status)
    headline = _headline(opening, stop.get("step"), reason)
    return Summary(tone=tone, headline=headline, detail=f"{hint} {detail}".strip() if hint else detail)


def error_of(result: Record) -> tuple[str, str]:
    """What ended a run and what to do about it, each in a sentence or empty.

    An error by the user is told in its own words; ``UserError`` is none of them.
    """
    lines = str(result.get("error") or "").strip().removeprefix("UserError: ").splitlines()
    hint = next((line.removeprefix("hint: ") for line in lines[1:] if line.startswith("hint: ")), "")
    return (lines[0] if lines else ""), (f"To mend it: {hint}." if hint else "")


def _rule_key(rule: str) -> str:
    plain = rule.lower().replace("-", "").replace("_", "")
    return next((key for key in RULES if plain.startswith(key)), "")


def _headline(opening: str, step: Any, reason: str) -> str:
    reason = reason.strip().rstrip(".")
    at = f" at step {step}" if isinstance(step, int) else ""
    reason = reason.removesuffix(at)
    return f"{opening}{at}: {reason}" if reason else f"{opening}{at}"


def _detail(run: RunFiles, status: str) -> str:
    if status == "preempted":
        return "Run the same command again and it goes on from its last checkpoint."
    if status == "failed" and not (run.result or {}).get("delivered"):
        return "No finished model came of it. Once mended, the same command goes on from the last checkpoint."
    _, _, rest = str((run.result or {}).get("explanation") or "").partition(". ")
    if rest:  # its first sentence says what the headline says
        return rest
    kept = best(run)
    if kept is None:
        return ""
    which = f"the one of step {kept['step']}" if kept.get("step") is not None else "an average of weights"
    name, sentence = chief_metric(run), f"The model kept is {which}"
    value = metrics_of(kept).get(name)
    if value is None:
        return f"{sentence}."
    before, at_start = (baseline(run) or {}), metrics_of(baseline(run)).get(name)
    between = numbers.interval(_mapping(kept.get("intervals")).get(name))
    sentence += f": {name} {numbers.number(value)}" + (f" (95 % interval {between})" if between else "")
    if at_start is None or before.get("step") == kept.get("step"):
        return f"{sentence}."
    return f"{sentence}; before tuning it was {numbers.number(at_start)}."


def _tell_going(run: RunFiles) -> Summary:
    last = max((record["step"] for record in (*run.train, *run.evals)), default=None)
    if last is None:
        return Summary(
            tone="going", headline="No step yet", detail="The run has only just begun, or it never did."
        )
    name = chief_metric(run)
    value = metrics_of(run.evals[-1] if run.evals else None).get(name)
    now = f", {name} {numbers.number(value)}" if value is not None else ""
    detail = (
        "The run has written no result: it is still going, or it was cut off. What follows is what it wrote."
    )
    return Summary(tone="going", headline=f"No verdict yet: at step {last}{now}", detail=detail)


def _tell_variants(variants: Record) -> Summary:
    metric = str(variants.get("metric", "loss"))
    rows = [row for row in _sequence(variants.get("variants")) if isinstance(row, Mapping)]
    sign = 1 if direction(metric) == "max" else -1
    scored = [row for row in rows if isinstance(_mapping(row.get("metrics")).get(metric), int | float)]
    if not scored:
        return Summary(tone="going", headline=f"{len(rows)} variants, none measured yet", detail="")
    first = max(scored, key=lambda row: sign * row["metrics"][metric])
    value = numbers.number(first["metrics"][metric])
    return Summary(
        tone="good",
        headline=f"Best of {len(rows)} variants: {first.get('name')}, {metric} {value}",
        detail="Each variant is a run with a report of its own, linked in the table below.",
    )


def targets(recipe: Record) -> dict[str, float]:
    """Metric to the value that counts as good enough, over all target rules."""
    found: dict[str, float] = {}
    for rule in all_rules(recipe):
        for name, value in _mapping(rule.get("target")).items():
            if isinstance(value, int | float):
                found[str(name)] = float(value)
    return found


def chief_metric(run: RunFiles) -> str:
    """The metric that the run is about: the target's, else a plateau's, else the first that is not loss."""
    measured = [name for record in run.evals for name in metrics_of(record)]
    plateaus = [_mapping(rule.get("plateau")).get("metric") for rule in all_rules(run.recipe)]
    asked = _sequence(_mapping(run.recipe.get("eval")).get("metrics"))
    wishes = [
        *targets(run.recipe),
        *(p for p in plateaus if p),
        *asked,
        *(m for m in measured if m != "loss"),
    ]
    return next((str(wish) for wish in wishes if not measured or wish in measured), "loss")


def keeping_metric(run: RunFiles) -> str:
    """The metric by which weights are kept: the run's own if a rule names it, else ``loss``."""
    name = chief_metric(run)
    plateaus = {_mapping(rule.get("plateau")).get("metric") for rule in all_rules(run.recipe)}
    return name if name in plateaus | set(targets(run.recipe)) else "loss"


def baseline(run: RunFiles) -> Record | None:
    """The measurement before the first step."""
    if run.evals and run.evals[0]["step"] == 0:
        return run.evals[0]
    return _measured((run.result or {}).get("baseline"), step=0)


def best(run: RunFiles) -> Record | None:
    """What the finished model has and scores; of a run that goes on, the best so far.

    Its scores are those on all rows, which may be more than the evaluation of that step saw. An average of
    weights is of no step.
    """
    result = run.result or {}
    given = _measured(result.get("delivered"), step=None)
    kept = given or _measured(result.get("best"), step=None)
    if kept is not None and given and given.get("average"):
        return {**kept, "step": None}
    if kept is not None:
        same = next((record for record in run.evals if record["step"] == kept.get("step")), {})
        return {**same, **kept}
    so_far = next((record["kept"] for record in reversed(run.evals) if "kept" in record), None)
    if so_far is not None:
        return next((record for record in run.evals if record["step"] == so_far), None)
    name = keeping_metric(run)
    sign = 1 if direction(name) == "max" else -1
    scored = [record for record in run.evals if _finite(metrics_of(record).get(name))]
    return max(scored, key=lambda record: sign * metrics_of(record)[name], default=None)


def _measured(value: Any, *, step: int | None) -> Record | None:
    if not isinstance(value, Mapping) or not value:
        return None
    return value if "metrics" in value else {"step": step, "metrics": value}


def metrics_of(record: Record | None) -> dict[str, float]:
    """The numbers of a measurement; empty if there is none."""
    metrics = _mapping((record or {}).get("metrics"))
    return {str(name): value for name, value in metrics.items() if isinstance(value, int | float)}


def notes_of(record: Record) -> list[str]:
    """What is said of a measurement beside its verdict, such as which guard bars it."""
    return [str(note) for note in _sequence(record.get("notes"))]


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

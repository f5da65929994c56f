"""The grammar of stop rules, with every default. Each rule is decided by its function in ``judge/rules``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NewType

from pydantic import Field

from tunesmith.recipe.schema.quantities import Joules, Patience, PatienceField, Seconds, Share, Sure
from tunesmith.recipe.section import Number, Section, Whole


class Plateau(Section):
    """Stop when a metric has made no gain of at least ``min_gain`` for as long as ``patience`` says.

    With ``sure`` only a gain counts that a paired test on the same examples tells from chance. ``50%`` is
    half of what the run had spent when it made its last gain; ``12 bits`` is so much evidence against one.
    """

    metric: str = "loss"
    patience: PatienceField = Patience(count=3, unit="evaluations")
    min_gain: Number = Field(default=0.0, ge=0)
    sure: Sure | None = Field(default=None, description="How sure a gain must be to count, e.g. `95%`.")


class Divergence(Section):
    """Stop when the evaluation loss exceeds ``factor`` times the baseline's."""

    factor: Number = Field(default=1.5, gt=1)


class Overfitting(Section):
    """Stop when a metric is surely worse than its best while training goes on (Prechelt 1998)."""

    metric: str = "loss"
    worse_by: Share = Field(default=0.003, ge=0, description="Share of the best value: `0.3%`.")
    progress: Number | None = Field(
        default=None, gt=0, description="Only if the loss in % outweighs training's progress by this (PQ)."
    )
    strip: Whole = Field(default=5, gt=1, description="Evaluations over which progress is taken.")
    looks: Whole = Field(default=2, gt=0, description="In so many evaluations in a row.")
    sure: Sure = Field(default=0.95, description="In a paired test, over all looks together.")
    unless_gaining: str | None = Field(
        default=None, description="A metric that holds the rule back while it is at its best."
    )


class Forecast(Section):
    """Stop when what is still to come, read off the curve so far, is not worth waiting for."""

    metric: str = "loss"
    target: Number | None = Field(default=None, description="Stop when it is out of reach in the budget.")
    min_gain: Share | None = Field(
        default=None, gt=0, lt=1, description="Stop when the rest surely gains less than this share: `0.5%`."
    )
    worth: Number | None = Field(default=None, gt=0, description="Money that a gain of 1 is worth.")
    price: Number | None = Field(default=None, gt=0, description="Money for an hour of one device.")
    sure: Sure = 0.9
    after: Whole = Field(default=6, ge=5, description="Evaluations needed before it speaks.")


class Guard(Section):
    """Stop when a metric has surely fallen too far: what was known must not be forgotten."""

    metric: str
    max_drop: Number = Field(ge=0, description="How much worse than the first measurement it may be.")
    sure: Sure = Field(default=0.95, description="In a paired test, over all looks together.")


class Budget(Section):
    """The most that may be spent; the first limit reached ends the run."""

    steps: Whole | None = Field(default=None, gt=0)
    epochs: Number | None = Field(default=None, gt=0)
    tokens: Whole | None = Field(default=None, gt=0)
    time: Seconds | None = None
    energy: Joules | None = Field(default=None, description="`2 kWh`; needs a meter, or `power`.")
    power: Number | None = Field(default=None, gt=0, description="Watts of one device, without a meter.")
    money: Number | None = Field(default=None, gt=0)
    price: Number | None = Field(default=None, gt=0, description="Money for an hour of one device.")


class StopRule(Section):
    """One rule: exactly one kind, or ``any`` or ``all`` of several; and how it is meant."""

    target: dict[str, Number] | None = None
    plateau: Plateau | None = None
    divergence: Divergence | None = None
    budget: Budget | None = None
    overfitting: Overfitting | None = None
    forecast: Forecast | None = None
    guard: Guard | None = None
    any: tuple[StopRule, ...] | None = Field(default=None, description="Stop when one of these says so.")
    all: tuple[StopRule, ...] | None = Field(default=None, description="Stop when all of these say so.")
    sure: Sure | None = Field(
        default=None, description="With `target`: the interval must pass it; over all looks together."
    )
    confirm: Whole | None = Field(
        default=None, gt=1, description="With `target`: in so many evaluations in a row."
    )
    missing: Literal["unknown", "error"] | None = Field(
        default=None, description="If its metric has no value: go on and say so (default), or end the run."
    )


Leaves = NewType("Leaves", tuple[StopRule, ...])
"""A recipe's rules flattened: each of them single. Who needs no ``any`` and ``all`` takes these."""


def leaves(rules: Sequence[StopRule]) -> Leaves:
    """Every rule that is no ``any`` or ``all``, from the outside in."""
    return Leaves(tuple(rule for _, rule in paths(rules)))


def paths(
    rules: Sequence[StopRule], above: tuple[str | int, ...] = ("stop",)
) -> Iterator[tuple[tuple[str | int, ...], StopRule]]:
    """The same with the place of each in the recipe: ``("stop", 0, "any", 1)``."""
    for index, rule in enumerate(rules):
        path = (*above, index)
        if rule.any is None and rule.all is None:
            yield path, rule
        yield from paths(rule.any or (), (*path, "any"))
        yield from paths(rule.all or (), (*path, "all"))


def binding(rules: Sequence[StopRule]) -> Iterator[StopRule]:
    """Rules each of which ends the run by itself: those that do not stand inside an ``all``."""
    for rule in rules:
        if rule.any is None and rule.all is None:
            yield rule
        yield from binding(rule.any or ())


def metrics_in(rule: StopRule) -> tuple[str, ...]:
    """Metrics that one single rule looks at."""
    names = list(rule.target or {})
    names += [one.metric for one in (rule.plateau, rule.overfitting, rule.forecast, rule.guard) if one]
    names += ["loss"] if rule.divergence is not None else []
    if rule.overfitting is not None and rule.overfitting.unless_gaining is not None:
        names.append(rule.overfitting.unless_gaining)
    return tuple(dict.fromkeys(names))

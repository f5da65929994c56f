"""Stop rules without their ``any`` and ``all``: the single rules inside, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunesmith.recipe.stop_rules import StopRule


def leaves(rules: Sequence[StopRule]) -> Iterator[StopRule]:
    """Every rule that is no ``any`` or ``all``, from the outside in."""
    for rule in rules:
        if rule.any is None and rule.all is None:
            yield rule
        yield from leaves(rule.any or ())
        yield from leaves(rule.all or ())


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

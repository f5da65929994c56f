"""Which metrics a recipe asks for and what range each has: names alone, so that a recipe can be checked.

What each is, its range and how it is computed stand in ``metrics``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from tunesmith.metrics.names import (
    HARNESS,
    HUB_PREFIXES,
    USER_PREFIX,
    WORST,
    bare_metric,
    slice_name,
    slice_of,
    split_name,
)
from tunesmith.metrics.table import declared
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.schema.stop import leaves, metrics_in
from tunesmith.recipe.tasks.table import spec_of

_PINNED = re.compile(r"(?:hub|evaluate):(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*@[0-9a-f]{40}")


def is_from_hub(name: str) -> bool:
    """Whether a metric is one of the hub's, such as ``hub:wer@…``; nothing is known of its range."""
    return name.startswith(HUB_PREFIXES)


def is_pinned(name: str) -> bool:
    """Whether a metric of the hub, which is code, is named at a commit."""
    return _PINNED.fullmatch(name) is not None


def metric_limits(name: str) -> tuple[float, float]:
    """Smallest and largest value that a metric can have, whatever it is measured on."""
    bare = bare_metric(name)
    if bare.startswith((*HUB_PREFIXES, USER_PREFIX)) or split_name(name).where == HARNESS:
        return -math.inf, math.inf
    found = declared(bare)
    return (0.0, 1.0) if found is None else (found.low, found.high)


def stop_metrics(recipe: Recipe) -> tuple[str, ...]:
    """Metrics that the stop rules look at, in order; measured whether ``eval.metrics`` names them or not."""
    names = [name for rule in leaves(recipe.stop) for name in metrics_in(rule)]
    return tuple(dict.fromkeys(names))


def asked_metrics(recipe: Recipe) -> tuple[str, ...]:
    """Metrics of the evaluation set itself that the recipe names, in ``eval.metrics`` or in a rule."""
    parts = [split_name(name) for name in stop_metrics(recipe)]
    named = [part.metric for part in parts if part.where in ("", WORST) or part.where.startswith("[")]
    return tuple(dict.fromkeys((*recipe.eval.metrics, *named)))


def set_metrics(recipe: Recipe, name: str) -> tuple[str, ...]:
    """Metrics of a further evaluation set: its loss, its own, and those that rules look at."""
    parts = [split_name(each) for each in stop_metrics(recipe)]
    named = [part.metric for part in parts if part.where == name]
    return tuple(dict.fromkeys(("loss", *recipe.eval.sets[name].metrics, *named)))


def label_columns(recipe: Recipe) -> set[str]:
    """Columns that are the label or the target of training rows."""
    targets = [field.name for field in spec_of(recipe.task).targets if field.kind in ("label", "number")]
    mapped = [rows.mapped[name] for rows in recipe.data.train for name in targets if name in rows.mapped]
    return {spec[1:-1] if spec.startswith("{") and spec.endswith("}") else spec for spec in mapped}


def all_metrics(
    recipe: Recipe, own: tuple[str, ...], slices: Mapping[tuple[str, str], bool]
) -> tuple[str, ...]:
    """Everything that a rule may look at.

    Args:
        recipe: names sets, columns and rules.
        own: what is measured on the evaluation set itself.
        slices: column and value of each slice, and whether its rows have one label or target.
    """
    sets = [f"{name}/{metric}" for name in recipe.eval.sets for metric in set_metrics(recipe, name)]
    asked = dict.fromkeys(("loss", *asked_metrics(recipe)))
    parts = [(name, *part) for part, one in slices.items() for name in asked if not (one and contrasts(name))]
    worst = [f"{WORST}/{name}" for name in dict.fromkeys(name for name, _, _ in parts)]
    known = [name for name in stop_metrics(recipe) if split_name(name).where == HARNESS]
    known += [name for name in stop_metrics(recipe) if recipe.eval.positions and is_position(name)]
    return (*own, *sets, *worst, *(slice_name(*part) for part in parts), *known)


def contrasts(name: str) -> bool:
    """Whether a metric means nothing over rows of one label or target: it is made of their differences."""
    found = declared(name)
    return found is not None and found.contrasts


def is_position(name: str) -> bool:
    """Whether a metric is that of ``eval.positions``: ``perplexity[position=5-8]``."""
    part = slice_of(name)
    return part is not None and (part.metric, part.column) == ("perplexity", "position")

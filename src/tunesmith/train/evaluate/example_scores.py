"""What a recipe's rules need of a run, and what of them cannot hold: said before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunesmith.judge.comparisons import comparands_from_plain, comparands_to_plain
from tunesmith.judge.statistics.example_scores import Scores, example_scores
from tunesmith.metrics.names import WORST, split_name
from tunesmith.recipe.check.metric_names import stop_metrics
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.tasks.task import Scored


def scores_by_metric(
    recipe: Recipe, by_set: Mapping[str, Sequence[Scored]], step: int
) -> Mapping[str, Scores]:
    """What each example gave, for the metrics that rules look at; as exact as a checkpoint stores it.

    Without that, a run that was continued would compare other numbers than one that was not. The worst
    slice is another one from time to time, so the whole set's scores stand in for it.

    Args:
        recipe: names the metrics.
        by_set: the examples of each further evaluation set, and under no name those of the first.
        step: of the measurement.
    """
    found = {
        name: scores_of_metric(split_name(name).metric, by_set[split_name(name).where], step)
        for name in dict.fromkeys(("loss", *map(whole_set_metric, stop_metrics(recipe))))
        if split_name(name).where in by_set
    }
    stored = comparands_from_plain(
        comparands_to_plain({m: (one,) for m, one in found.items() if one is not None})
    )
    return {metric: one[0] for metric, one in stored.items()}


def whole_set_metric(name: str) -> str:
    """The metric whose scores can be compared over time: of the worst slice, that of the whole set."""
    where, metric = split_name(name)
    return metric if where == WORST else name


def scores_of_metric(metric: str, scored: Sequence[Scored], step: int) -> Scores | None:
    """What each example gave by one metric; ``None`` where that has no such scores."""
    return example_scores(metric, step, scored)

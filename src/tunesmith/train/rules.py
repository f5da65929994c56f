"""What a recipe's rules need of a run, and what of them cannot hold: said before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunesmith.errors import UserError
from tunesmith.judge.check import check_evidence, check_rules
from tunesmith.judge.example_scores import example_scores
from tunesmith.judge.references import kept_from_plain, kept_to_plain
from tunesmith.judge.scores import Scores
from tunesmith.metrics.names import WORST, split_name
from tunesmith.recipe.metric_names import all_metrics, stop_metrics
from tunesmith.recipe.schema import Recipe
from tunesmith.tasks.compared import compared
from tunesmith.tasks.task import Scored
from tunesmith.train.aside import Aside


def refuse_rules(
    recipe: Recipe, metrics: Sequence[str], examples: int, aside: Aside, *, deepspeed: bool = False
) -> None:
    """Make sure that every rule can be judged by what will be measured.

    Args:
        recipe: names rules.
        metrics: of the evaluation set.
        examples: of the evaluation set.
        aside: slices that are measured apart.
        deepspeed: whether that trains.

    Raises:
        UserError: for the first that cannot.
    """
    slices = {part: part[0] in aside.telling for part in aside.slices}
    problems = [
        *check_rules(recipe.stop, all_metrics(recipe, ("loss", *metrics), slices)),
        *check_evidence(recipe.stop, examples, aside.sizes),
    ]
    if problems:
        first = problems[0]
        raise UserError(first.what, ".".join(str(part) for part in first.path), first.hint)
    if deepspeed and recipe.safety.spike == "skip":
        raise UserError(
            "DeepSpeed cannot leave out a step whose gradient is finite",
            "safety.spike",
            "write `back` or `stop`, or choose a profile without DeepSpeed",
        )


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
        for name in dict.fromkeys(("loss", *map(comparable, stop_metrics(recipe))))
        if split_name(name).where in by_set
    }
    stored = kept_from_plain(kept_to_plain({m: (one,) for m, one in found.items() if one is not None}))
    return {metric: one[0] for metric, one in stored.items()}


def comparable(name: str) -> str:
    """The metric whose scores can be compared over time: of the worst slice, that of the whole set."""
    where, metric = split_name(name)
    return metric if where == WORST else name


def scores_of_metric(metric: str, scored: Sequence[Scored], step: int) -> Scores | None:
    """What each example gave by one metric; ``None`` where that has no such scores."""
    predictions, references = compared(metric, scored)
    return example_scores(
        metric,
        step,
        losses=[one.loss for one in scored],
        counts=[one.count for one in scored],
        correct=[one.correct for one in scored],
        predictions=predictions,
        references=references,
    )

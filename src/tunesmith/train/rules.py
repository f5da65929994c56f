"""What a recipe's rules need of a run, and what of them cannot hold: said before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunesmith.errors import UserError
from tunesmith.judge.check import check_evidence, check_rules
from tunesmith.judge.example_scores import example_scores
from tunesmith.judge.references import kept_from_plain, kept_to_plain
from tunesmith.judge.scores import Scores
from tunesmith.recipe.metric_names import stop_metrics
from tunesmith.recipe.schema import Recipe
from tunesmith.tasks.task import Scored


def refuse_rules(recipe: Recipe, metrics: Sequence[str], examples: int) -> None:
    """Make sure that every rule can be judged by what will be measured.

    Raises:
        UserError: for the first that cannot.
    """
    problems = [
        *check_rules(recipe.stop, ("loss", *metrics)),
        *check_evidence(recipe.stop, examples),
    ]
    if problems:
        first = problems[0]
        raise UserError(first.what, ".".join(str(part) for part in first.path), first.hint)
    section = recipe.eval
    unready = {
        "eval.every": section.every.auto,
        "eval.subset": section.subset != "all",
        "eval.cluster": section.cluster is not None,
    }
    for key, asked in unready.items():
        if asked:
            raise UserError(
                f"`{key}` is understood, but no run carries it out yet",
                key,
                "take it away; give `eval.every` in steps, tokens or epochs",
            )


def scores_by_metric(recipe: Recipe, scored: Sequence[Scored], step: int) -> Mapping[str, Scores]:
    """What each example gave, for the metrics that rules look at; as exact as a checkpoint stores it.

    Without that, a run that was continued would compare other numbers than one that was not.
    """
    found = {
        metric: example_scores(
            metric,
            step,
            losses=[one.loss for one in scored],
            counts=[one.count for one in scored],
            correct=[one.correct for one in scored],
            predictions=[one.prediction for one in scored],
            references=[one.reference for one in scored],
        )
        for metric in dict.fromkeys(("loss", *stop_metrics(recipe)))
    }
    stored = kept_from_plain(kept_to_plain({m: (one,) for m, one in found.items() if one is not None}))
    return {metric: one[0] for metric, one in stored.items()}

"""What is reached without any model: always the commonest answer, always the mean, or the input copied.

A tuned model that does not beat these has learnt nothing of use, however far it is from the untrained one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tunesmith.data.report import Counts, WithoutModel
from tunesmith.metrics.metric import answered
from tunesmith.metrics.statistics import Statistics, statistics
from tunesmith.metrics.table import at_least_as_good, declared
from tunesmith.numbers import show
from tunesmith.recipe.check.metric_names import asked_metrics
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.schema.stop import paths
from tunesmith.recipe.tasks.table import spec_of
from tunesmith.tasks.task import Example

MOST_KINDS = 50
"""Different answers beyond which they are no kinds of an answer, and are not counted."""
MOST_ROWS, MOST_CHARACTERS = 1000, 2000
"""Rows and characters of each that a metric over texts is worked out on."""
LONGEST_NAME = 40
PARTS = {"train": "to learn from", "eval": "to evaluate on"}
"""Parts of the data as they are told."""


def counts_of(examples: Sequence[Example], labels: Sequence[str]) -> Counts:
    """How many examples each class has, the commonest first; of texts, each answer where there are few."""
    if not examples:
        return {}
    answers = Counter(str(example["reference"]) for example in examples)
    if labels and not set(labels) >= set(answers):  # several in each
        answers = Counter(one for example in examples for one in str(example["reference"]).split())
    if labels:
        return dict(answers.most_common())
    told = isinstance(examples[0]["reference"], str)
    few = told and 1 < len(answers) <= min(MOST_KINDS, len(examples) / 4) and "" not in answers
    return dict(answers.most_common()) if few else {}


def trivial_baselines(
    recipe: Recipe, train: Sequence[Example], held_out: Sequence[Example]
) -> tuple[WithoutModel, ...]:
    """What needs no model, and what it scores on the evaluation rows by the metrics that are asked for.

    Args:
        recipe: names metrics.
        train: examples to learn from.
        held_out: examples to evaluate on.
    """
    asked = asked_metrics(recipe)
    if not train or not held_out or spec_of(recipe.task).output == "vector":
        return ()
    found: list[WithoutModel] = []
    output = spec_of(recipe.task).output
    truth = [example["reference"] for example in held_out]
    if output == "classes":
        best = Counter(example["reference"] for example in train).most_common(1)[0][0]
        names = tuple(dict.fromkeys((*asked, "accuracy", "macro_f1")))
        found.append(_scored(f"always {_short(best)}", [best] * len(truth), truth, names))
    elif output == "number":
        mean = math.fsum(example["reference"] for example in train) / len(train)
        name = f"always {show(mean)}, the mean"
        found.append(_scored(name, [mean] * len(truth), truth, tuple(dict.fromkeys((*asked, "mse")))))
    elif output == "tokens":
        found += _of_texts(train, held_out[:MOST_ROWS], asked)
    return tuple(one for one in found if one.metrics)


def _of_texts(
    train: Sequence[Example], held_out: Sequence[Example], names: Sequence[str]
) -> Iterator[WithoutModel]:
    references = [str(example["reference"]) for example in held_out]
    if not all(references):
        return
    commonest, times = Counter(str(example["reference"]) for example in train).most_common(1)[0]
    if times > 1:
        yield _scored(f"always {_short(commonest)}", [commonest] * len(references), references, names)
    yield _scored("the input copied", [str(example["input"]) for example in held_out], references, names)


def _scored(
    name: str, predictions: Sequence[Any], references: Sequence[Any], names: Sequence[str]
) -> WithoutModel:
    values = {}
    for metric in names:
        spec = declared(metric)
        if spec is None or spec.needs not in ("text", "label", "number"):
            continue
        ours, theirs = predictions, references
        if spec.needs == "text":
            ours, theirs = ([text[:MOST_CHARACTERS] for text in texts] for texts in (predictions, references))
        found = statistics(metric, answered(ours, theirs))
        value = math.nan
        if isinstance(found, Statistics):
            value = float(found.combine(found.rows.sum(axis=0)[None, :])[0])
        if math.isfinite(value):
            values[metric] = value
    return WithoutModel(name=name, metrics=values)


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= LONGEST_NAME else f"{plain[: LONGEST_NAME - 1]}…"


def easy_targets(recipe: Recipe, found: Sequence[WithoutModel]) -> Iterator[str]:
    """A warning for each target that is reached without any model."""
    for path, rule in paths(recipe.stop):
        reached = [
            one
            for one in found
            if rule.target
            and all(
                name in one.metrics and at_least_as_good(name, one.metrics[name], wanted)
                for name, wanted in rule.target.items()
            )
        ]
        for one in reached[:1]:
            place = ".".join(str(part) for part in (*path, "target"))
            had = ", ".join(f"{name} {show(one.metrics[name])}" for name in rule.target or {})
            yield f"`{place}` asks for nothing: {one.name} reaches {had}; set it beyond that"


def counts_words(counts: Counts, most: int = 8) -> str:
    """``ham 4,825 (87 %), spam 747 (13 %)``; of many the commonest, and the rarest."""
    whole = sum(counts.values())
    shown = [f"{_short(name)} {count:,} ({count / whole:.0%})" for name, count in counts.items()]
    if len(shown) <= most:
        return ", ".join(shown)
    return f"{', '.join(shown[: most - 1])}, … {shown[-1]}; {len(shown)} in all"


def baseline_words(one: WithoutModel) -> str:
    """``always ham: accuracy 0.868, macro_f1 0.465``."""
    return f"{one.name}: " + ", ".join(f"{name} {show(value)}" for name, value in one.metrics.items())

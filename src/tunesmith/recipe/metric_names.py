"""Which metrics each task can give and what range each has: names alone, so that a recipe can be checked.

How they are computed stands in ``metrics``; a test holds the two tables to the same names and ranges.
"""

from __future__ import annotations

import math

from tunesmith.recipe.schema import Recipe

GENERATION = ("exact_match", "f1", "rouge_l", "bleu", "chrf")
"""Metrics over generated text."""

TASK_METRICS: dict[str, tuple[str, ...]] = {
    "causal-lm": ("loss", "perplexity", "token_accuracy", *GENERATION),
    "sequence-classification": ("loss", "accuracy", "macro_f1"),
    "regression": ("loss", "mse", "pearson"),
    "image-classification": ("loss", "accuracy", "macro_f1"),
}

_LIMITS = {
    "loss": (0.0, math.inf),
    "perplexity": (1.0, math.inf),
    "mse": (0.0, math.inf),
    "pearson": (-1.0, 1.0),
}


def is_from_hub(name: str) -> bool:
    """Whether a metric is one of the hub's, such as ``hub:wer``; nothing is known of its range."""
    return name.startswith(("hub:", "evaluate:"))


def limits(name: str) -> tuple[float, float]:
    """Smallest and largest value that a metric can have."""
    return (-math.inf, math.inf) if is_from_hub(name) else _LIMITS.get(name, (0.0, 1.0))


def stop_metrics(recipe: Recipe) -> tuple[str, ...]:
    """Metrics that the stop rules look at, in order; measured whether ``eval.metrics`` names them or not."""
    names: list[str] = []
    for rule in recipe.stop:
        names += list(rule.target or {})
        names += [rule.plateau.metric] if rule.plateau is not None else []
    return tuple(dict.fromkeys(names))

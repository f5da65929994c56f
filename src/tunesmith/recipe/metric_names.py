"""Which metrics each task can give and what range each has: names alone, so that a recipe can be checked.

How they are computed stands in ``metrics``; a test holds the two tables to the same names and ranges.
"""

from __future__ import annotations

import math
import re

from tunesmith.recipe.leaves import leaves, metrics_in
from tunesmith.recipe.schema import Recipe

GENERATION = ("exact_match", "f1", "rouge_l", "bleu", "chrf")
"""Metrics over generated text."""

TASK_METRICS: dict[str, tuple[str, ...]] = {
    "causal-lm": ("loss", "perplexity", "token_accuracy", *GENERATION),
    "sequence-classification": ("loss", "accuracy", "macro_f1"),
    "regression": ("loss", "mse", "pearson"),
    "image-classification": ("loss", "accuracy", "macro_f1"),
}

_PINNED = re.compile(r"(?:hub|evaluate):(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*@[0-9a-f]{40}")
_LIMITS = {
    "loss": (0.0, math.inf),
    "perplexity": (1.0, math.inf),
    "mse": (0.0, math.inf),
    "pearson": (-1.0, 1.0),
}


def is_from_hub(name: str) -> bool:
    """Whether a metric is one of the hub's, such as ``hub:wer@…``; nothing is known of its range."""
    return name.startswith(("hub:", "evaluate:"))


def is_pinned(name: str) -> bool:
    """Whether a metric of the hub, which is code, is named at a commit."""
    return _PINNED.fullmatch(name) is not None


def limits(name: str) -> tuple[float, float]:
    """Smallest and largest value that a metric can have."""
    return (-math.inf, math.inf) if is_from_hub(name) else _LIMITS.get(name, (0.0, 1.0))


def stop_metrics(recipe: Recipe) -> tuple[str, ...]:
    """Metrics that the stop rules look at, in order; measured whether ``eval.metrics`` names them or not."""
    names = [name for rule in leaves(recipe.stop) for name in metrics_in(rule)]
    return tuple(dict.fromkeys(names))

"""The loss of tasks with one class a row: cross-entropy, with weights of classes and of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F

from tunesmith.errors import UserError
from tunesmith.recipe.tasks.classes import ClassSettings
from tunesmith.suggest import any_of, nearest
from tunesmith.tasks.task import TaskInputs


@dataclass(frozen=True, slots=True)
class ClassLoss:
    """Weighted, smoothed or focal cross-entropy.

    Attributes:
        weights: one a class, in the order of the logits; empty where all count alike.
        label_smoothing: share of the target that is spread over all classes (arXiv 1512.00567, section 7).
        focal: γ; a row counts (1 - p)^γ as much, p its class's probability (arXiv 1708.02002, equation 4).
    """

    weights: tuple[float, ...] = ()
    label_smoothing: float = 0.0
    focal: float = 0.0

    def total(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Sum over a batch, in nats.

        Args:
            logits: [B, K] in float32.
            labels: [B], index of each row's class.
        """
        weight = logits.new_tensor(self.weights) if self.weights else None
        entropy = partial(F.cross_entropy, logits, labels, weight, label_smoothing=self.label_smoothing)
        if not self.focal:
            return entropy(reduction="sum")
        losses = entropy(reduction="none")
        right = logits.softmax(-1).gather(1, labels[:, None]).squeeze(1)
        return ((1 - right) ** self.focal * losses).sum()


PLAIN = ClassLoss()
"""Cross-entropy as it is."""


def class_loss(inputs: TaskInputs, classes: Sequence[str], seen: Iterable[str]) -> ClassLoss:
    """The loss that a recipe asks for; plain cross-entropy for a finished model, which learns nothing.

    Args:
        inputs: what the task is made of.
        classes: in the order of the logits.
        seen: the class of every training row, or of every word of them; read where weights hang on it.

    Raises:
        UserError: a weight is given for a class that no training row has.
    """
    settings = inputs.recipe.task
    if inputs.finished or not isinstance(settings, ClassSettings):
        return PLAIN
    weights = settings.class_weights
    if weights == "balanced":
        each = balanced_weights(Counter(seen), classes)
    else:
        each = given_weights(weights, classes) if weights else ()
    return ClassLoss(each, settings.label_smoothing, settings.focal)


def balanced_weights(counts: Mapping[str, int], classes: Sequence[str]) -> tuple[float, ...]:
    """Rows over (classes × rows of the class): every class weighs the same, and a row 1 in the mean.

    That is scikit-learn's ``class_weight="balanced"`` (King and Zeng 2001, section 3.2).
    """
    return tuple(sum(counts.values()) / (len(classes) * counts[name]) for name in classes)


def given_weights(weights: Mapping[str, float], classes: Sequence[str]) -> tuple[float, ...]:
    """A recipe's weights in the order of the logits; 1 for a class of which nothing is said."""
    for name in weights:
        if name not in classes:
            near = nearest(name, classes)
            guess = f"did you mean `{near}`? " if near else ""
            raise UserError(
                f"`task.class_weights` has a weight for `{name}`, and no training row has that class",
                "task.class_weights",
                f"{guess}the classes are {any_of(classes[:20], 'and')}",
            )
    return tuple(float(weights.get(name, 1.0)) for name in classes)

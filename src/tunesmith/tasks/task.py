"""The plug-in point: what a task says about itself, and the closed table of tasks.

Adding a task means adding one file like ``regression.py``, a line in ``TASKS``, a recipe and a test.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

    from tunesmith.data.row import Row, Skip


Example = dict[str, Any]
Batch = dict[str, Any]
UNFINISHED = "…"
"""Ends an answer that was not told to its end."""


@dataclass(frozen=True, slots=True)
class Sums:
    """A total and what it is a total of; one division, at the very end, makes a mean.

    Attributes:
        loss: scalar tensor, summed over everything supervised, attached to the graph.
        count: supervised tokens (or samples) in ``loss``.
        extra: further totals over the same count, e.g. ``{"token_accuracy": correct}``.
    """

    loss: torch.Tensor
    count: int
    extra: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Scored:
    """What an evaluation pass knows of one example.

    Attributes:
        id: the row's.
        loss: summed over the example's supervised tokens (or the sample's own).
        count: how many of them.
        correct: how many of them the model's first choice hit, where that makes sense.
        prediction: text, label or number, ``None`` if the task was not asked for predictions. A text
            that ends with ``UNFINISHED`` may be the beginning of an answer that was not told to its end.
        reference: what it is compared with.
        input: the sample as a person would read it.
        given: what else is known by name: the values of metrics that are not made of prediction and
            reference alone, a classifier's confidence, losses by position.
        values: of classes, each label's log-probability, where a metric needs them.
    """

    id: str
    loss: float
    count: int
    correct: int
    prediction: Any
    reference: Any
    input: str
    given: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)


class Task(Protocol):
    """Five things, always in this order; ``train`` knows nothing else about a task."""

    @property
    def auto_model(self) -> str:
        """Name of the transformers auto class."""
        ...

    def encode(self, row: Row) -> Example | Skip:
        """One row as the model sees it; an ``Example`` has ``id`` and ``length`` (tokens) at least."""
        ...

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Examples to tensors."""
        ...

    def loss(self, model: Any, batch: Batch) -> Sums:
        """Forward pass; the loss as a sum and a count."""
        ...

    def score(
        self, model: Any, examples: Sequence[Example], predict: bool, only_equal: Container[str] = ()
    ) -> list[Scored]:
        """Evaluate without gradients; ``predict`` asks for predictions (generation, for language models).

        ``only_equal`` has the ids of examples of which it matters only whether the prediction equals the
        reference, blanks aside.
        """
        ...

    def metrics(self) -> tuple[str, ...]:
        """Names of metrics over predictions that make sense here, the default first."""
        ...

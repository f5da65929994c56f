"""The plug-in point: what the code of a task does. What it declares stands in ``recipe/tasks``."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    import numpy as np
    import torch

    from tunesmith.data.row import Row, Skip
    from tunesmith.recipe.schema.recipe import Recipe


Example = dict[str, Any]
"""A row as the model sees it. Beside what only its task knows, it has

- ``id``: the row's;
- ``length``: tokens, by which batches and passes are bounded;
- ``count``: what its loss is a sum over, supervised tokens or samples;
- ``reference``: what is to be given: a class's name, a number, or a text, empty if there is none;
- ``input``: the sample as a person would read it; default, as of ``reference``: what the row's fields show;
- ``truncated`` and ``notes``, where it was cut or changed.
"""
UNFINISHED = "…"
"""Ends an answer that was not told to its end."""
Option = Literal["enrich", "roll_out", "coupled_loss", "relate"]
"""What not every task gives, and what is asked for only where it is given."""


@dataclass(frozen=True, slots=True)
class TaskInputs:
    """What a task is made of.

    Attributes:
        recipe: resolved.
        processor: tokenizer or image processor.
        max_length: most tokens of an example.
        rows: to learn from; none for a finished model.
        packed: whether examples lie in one row without padding.
        labels: the classes of a finished model, in the order of its logits; ``None`` before there is one.
    """

    recipe: Recipe
    processor: Any
    max_length: int
    rows: Sequence[Row] = ()
    packed: bool = False
    labels: tuple[str, ...] | None = None

    @property
    def finished(self) -> bool:
        """Whether the task is for a model that has learnt it."""
        return self.labels is not None


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples as tensors.

    Attributes:
        inputs: by name, whatever the task's loss needs: tensors, or lists of them.
        count: supervised tokens or samples; losses of all batches of a step are divided by the sum of these.
    """

    inputs: Mapping[str, Any]
    count: int

    def to(self, device: Any) -> Batch:
        """The batch with its tensors on a device."""
        return replace(self, inputs={name: _moved(value, device) for name, value in self.inputs.items()})

    def __getitem__(self, name: str) -> Any:
        return self.inputs[name]


def _moved(value: Any, device: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_moved(one, device) for one in value]
    return value.to(device, non_blocking=True) if hasattr(value, "to") else value


Embedded = Mapping[str, "torch.Tensor"]
"""What a loss over the whole batch is made of, by name; the first axis of each counts the same rows."""
RowRandom = Callable[[str], "np.random.Generator"]
"""Random numbers of a row, by its id: the same whenever the same step of the same run is made again."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A total over everything supervised in a batch; one division, at the very end, makes a mean.

    Attributes:
        total: scalar tensor, attached to the graph.
        parts: what it is made of, by name, each a sum like it; logged with every step.
    """

    total: torch.Tensor
    parts: Mapping[str, torch.Tensor] = field(default_factory=dict)


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
        unwritten: what ``relate`` takes of it, such as a vector; it is in no file.
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
    unwritten: Any = None


def encode_row(task: Task, row: Row) -> Example | Skip:
    """A row as the model sees it, or why it cannot be; what a person reads of it is filled in."""
    from tunesmith.data.kinds.table import shown
    from tunesmith.data.row import Skip

    found = task.encode(row)
    if isinstance(found, Skip) or {"input", "reference"} <= found.keys():
        return found
    for name, learnt in (("input", False), ("reference", True)):
        texts = [(field, text) for field, text, target in shown(row) if target == learnt]
        found.setdefault(name, texts[0][1] if len(texts) == 1 else "\n".join(map(": ".join, texts)))
    return found


class Task:
    """The code of a task; ``train`` knows nothing else about it.

    A task gives ``build``, ``encode``, ``collate``, ``loss`` and ``score``; one whose samples depend on each
    other gives ``embed`` and ``coupled_loss`` in place of ``loss``, and declares that it ``couples``. The
    rest has a default, or is an ``Option``.
    """

    __slots__ = ()

    @classmethod
    def build(cls, inputs: TaskInputs) -> Self:
        """The task for a recipe."""
        raise NotImplementedError

    def encode(self, row: Row) -> Example | Skip:
        """One row as the model sees it, or why it cannot be learnt from."""
        raise NotImplementedError

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Examples to tensors."""
        raise NotImplementedError

    def loss(self, model: Any, batch: Batch) -> Loss:
        """Forward pass, and the loss summed over the batch."""
        return self.coupled_loss(self.embed(model, batch))

    def embed(self, model: Any, batch: Batch) -> Embedded:
        """Forward pass: what the loss takes of each row of a micro-batch, in float32, targets among it."""
        raise NotImplementedError

    def coupled_loss(self, embedded: Embedded) -> Loss:
        """The loss summed over all rows of a step, of every process and micro-batch, in no certain order."""
        raise NotImplementedError

    def score(
        self, model: Any, examples: Sequence[Example], predict: bool, only_equal: Container[str] = ()
    ) -> list[Scored]:
        """Evaluate without gradients; ``predict`` asks for predictions (generation, for language models).

        ``only_equal`` has the ids of examples of which it matters only whether the prediction equals the
        reference, blanks aside.
        """
        raise NotImplementedError

    def enrich(self, model: Any, examples: Sequence[Example]) -> Sequence[Example]:
        """The examples of one pass with what the first weights say of them, under keys of their own.

        It is called without gradients before anything is learnt, and what it adds is kept on the disk.
        """
        raise NotImplementedError

    def roll_out(self, model: Any, examples: Sequence[Example], rng: RowRandom) -> Sequence[Example]:
        """What a micro-batch learns from, made of its examples by the model as it is before the step.

        It is called without gradients. Whatever is drawn is drawn with ``rng``.
        """
        raise NotImplementedError

    def answer(self, model: Any, rows: Sequence[Row]) -> list[Any] | None:
        """What the model gives for rows that have inputs alone, in their order, as it can stand in a file.

        ``None``: as the model's output tells, of one input.
        """
        return None

    def baselines(
        self, train: Sequence[Example], held_out: Sequence[Example]
    ) -> Mapping[str, Mapping[str, float]]:
        """What needs no model, by name, and its metrics; beside what is known for the task's output."""
        return {}

    def relate(self, scored: Sequence[Scored]) -> Sequence[Scored]:
        """The scores of all examples of an evaluation, with what only all together tell of each."""
        raise NotImplementedError

    def lone_loss(self, scored: Scored) -> float:
        """What can be measured of an example without the others, to tell two models apart."""
        return scored.loss

    def class_names(self) -> tuple[str, ...]:
        """Classes in the order of the logits; empty where there are none."""
        return ()

    def fingerprint(self) -> Mapping[str, Any]:
        """The settings that decide what ``encode`` gives, for the cache of encoded rows."""
        return {}

    def show(self, example: Example) -> list[tuple[str, bool]]:
        """An example in pieces as a person would read it, and whether each is learnt."""
        return [(str(example["input"]), False), (f" -> {example['reference']}", True)]

    def fit(self, model: Any, *, fresh_head: bool) -> Self:
        """The task made to fit a loaded model, which may be changed for it, before anything is learnt.

        Args:
            model: with its weights.
            fresh_head: whether its output layer has no pretrained values.
        """
        return self

    def before_export(self, model: Any) -> None:
        """Change the trained model into what is to be delivered."""

    def further_files(self, model: Any) -> Mapping[str, str]:
        """Text files that are delivered beside the model's own, by their paths in its folder."""
        return {}

    def score_delivered(self, model: Any, examples: Sequence[Example]) -> list[Scored]:
        """What a delivered model scores, without predictions, with losses as in training."""
        return self.score(model, examples, predict=False)

    def tokens_at_once(self) -> int | None:
        """Most tokens of an evaluation pass, if the task bounds them itself."""
        return None

    def computed_length(self, example: Example) -> int:
        """Tokens of an example that a training pass computes, or what stands for them."""
        return int(example["length"])

    def shared_length(self, examples: Sequence[Example]) -> int:
        """Tokens with which all examples open and which a batch of them computes once."""
        return 0

    def evaluated_length(self, example: Example) -> int:
        """By which evaluation passes are bounded."""
        return int(example["length"])


def offers(task: object, option: Option) -> bool:
    """Whether a task, or its class, gives what not every task does."""
    found = getattr(task if isinstance(task, type) else type(task), option, None)
    return found is not None and found is not getattr(Task, option)

"""What a task declares: its settings, what its rows have, its model, its metrics, and where its code is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from tunesmith.recipe.section import Section

FieldKind = Literal[
    "audio", "chat", "image", "label", "labels", "mask", "number", "objects", "sequence", "spans", "text"
]
"""What a field may hold; ``data/kinds`` has a file for each."""
Output = Literal["tokens", "classes", "number", "tags", "vector", "hidden"]
Feature = Literal["chat_template", "generate", "harness", "loss_on", "packing", "positions"]


class TaskSettings(Section):
    """A task in a recipe: its name, and what can be set about it."""

    name: str


@dataclass(frozen=True, slots=True)
class Field:
    """Something that a row has, under the name by which a recipe maps a column to it.

    Attributes:
        name: of the field.
        kind: decides how it is read, checked, hashed and shown.
        meaning: what the column holds, for messages; default: the name.
        optional: a row, and a file, may be without it.
        of: the field that it is about, such as the text that spans lie in or the picture that objects are in;
            default: the first ``text`` or ``image``.
    """

    name: str
    kind: FieldKind
    meaning: str = ""
    optional: bool = False
    of: str = ""


@dataclass(frozen=True)
class RowSchema:
    """What rows of a task have.

    Attributes:
        inputs: what the model is given.
        targets: what it is to learn to give; empty where the input itself is learnt.
        otherwise: what rows may have in place of it.
    """

    inputs: tuple[Field, ...] = ()
    targets: tuple[Field, ...] = ()
    otherwise: RowSchema | None = None

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """Inputs and targets."""
        return self.inputs + self.targets

    @cached_property
    def kinds(self) -> Mapping[str, FieldKind]:
        """Kind of each field by its name."""
        return {field.name: field.kind for field in self.fields}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """Everything about a task that needs no torch.

    Attributes:
        settings: its keys in the recipe; ``name`` is the task's.
        summary: one line, for lists of tasks.
        code: ``module:class`` of its code, imported when rows are prepared; empty for the user's own.
        auto_model: name of the transformers class that opens its models.
        inputs: what the model is given of a row.
        targets: what it is to learn to give; empty where the input itself is learnt.
        otherwise: inputs and targets that rows may have in place of these.
        output: what the model's last layer gives; ``tags`` are classes of each token,
            ``hidden`` the tokens that a mask hides.
        metrics: those it can give, the default first.
        measured: those that come with every evaluation, asked for or not; none of them costs a further pass.
        accepts: sections and keys of the recipe that mean something to it.
        starter: recipe that `tunesmith init` copies.
        pipeline: what a model hub calls the task.
        processor: what makes the model's input of a field.
        encoder: whether sequences open with a token that stands for the whole.
        peft: what peft calls the task, if it knows it.
        endings: of names of transformers' classes that are models for this task.
        aliases: what other tools call it.
        usual_evaluation: how often `tunesmith init` has it evaluated.
        couples: whether the loss of a sample depends on the others of its batch, as with in-batch negatives.
    """

    settings: type[TaskSettings] = TaskSettings
    summary: str
    code: str = ""
    auto_model: str
    inputs: tuple[Field, ...]
    targets: tuple[Field, ...] = ()
    otherwise: RowSchema | None = None
    output: Output
    metrics: tuple[str, ...]
    measured: tuple[str, ...] = ()
    accepts: frozenset[Feature] = frozenset()
    starter: str = ""
    pipeline: str = ""
    processor: Literal["tokenizer", "image"] = "tokenizer"
    encoder: bool = False
    peft: str | None = None
    endings: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    usual_evaluation: str = "0.5 epochs"
    couples: bool = False

    @property
    def name(self) -> str:
        """By which a recipe names the task; one of the user's own has none of itself."""
        words = get_args(self.settings.model_fields["name"].annotation)
        return str(words[0]) if words else "your own"

    @property
    def fields(self) -> tuple[Field, ...]:
        """Inputs and targets."""
        return self.inputs + self.targets

    @property
    def row_schema(self) -> RowSchema:
        """What its rows have."""
        return RowSchema(self.inputs, self.targets, self.otherwise)

    def field_of(self, *kinds: FieldKind) -> Field | None:
        """The first field of one of these kinds."""
        return next((field for field in self.fields if field.kind in kinds), None)

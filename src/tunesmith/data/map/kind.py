"""What a kind of field is, and the cell that a value of it is read from."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tunesmith.data.map.columns import Shape
from tunesmith.data.map.drawing import Drawing
from tunesmith.data.map.normalise import BadRow, plain_text
from tunesmith.recipe.tasks.spec import Field, FieldKind

Spell = Callable[[str], str]
"""How text is spelt to be compared: ``comparable``, ``comparable_lines`` or ``exactly``."""


class Found(NamedTuple):
    """What was read of a row.

    Attributes:
        value: of the field.
        words: what the row itself says in it, without a template's words, for near duplicates.
        answer_words: the same of a part that is the answer.
    """

    value: Any
    words: str = ""
    answer_words: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a field's value stands in one row.

    Attributes:
        field: as the task declares it.
        shape: how the source's rows become fields.
        columns: of the row.
        folder: where relative paths start; default: the working directory.
        roots: folders of which paths must not lead out; ``None``: they may name any file.
    """

    field: Field
    shape: Shape
    columns: Mapping[str, Any]
    folder: Path | None = None
    roots: Sequence[Path] | None = None

    @property
    def column(self) -> str:
        """The column's name, for messages; of a template the field's."""
        slot = self.shape.fields[self.field.name].column
        return self.field.name if slot is None else slot.name

    @property
    def value(self) -> Any:
        """What stands in the column; of a template its text."""
        template = self.shape.fields[self.field.name]
        slot = template.column
        return template.render(self.columns)[0] if slot is None else plain_text(slot.value(self.columns))

    def text(self) -> tuple[str, str]:
        """The text, and apart from it what the row itself put in.

        Raises:
            BadRow: it is no text, or blank.
        """
        text, words = self.shape.fields[self.field.name].render(self.columns)
        if not text.strip():
            raise BadRow("empty", f"`{self.field.name}` is empty")
        return text, words

    def items(self, separator: str | None = None) -> list[Any]:
        """The list that stands in the column, or in it as JSON; blank text is an empty one.

        Args:
            separator: between items of text that is no JSON; ``None``: such text is refused.

        Raises:
            BadRow: there is nothing, or something else.
        """
        value = self.value
        value = value.tolist() if hasattr(value, "tolist") else value
        if value is None:
            raise BadRow("empty", f"`{self.column}` is empty")
        if isinstance(value, str):
            value = self._listed(value, separator)
        if not isinstance(value, list | tuple):
            raise BadRow("malformed", f"`{self.column}` is a {type(value).__name__}, not a list")
        return list(value)

    def _listed(self, text: str, separator: str | None) -> Any:
        if not text.strip():
            return []
        if separator is None or text.lstrip().startswith("["):
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                if separator is None:
                    raise BadRow(
                        "malformed", f"`{self.column}` is {text[:60]!r}, not a list as JSON"
                    ) from None
        return text.split() if separator == " " else text.split(separator)


def nothing(value: Any) -> tuple[str, ...]:
    """No text and no class."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is known of a kind of field; a file in ``data/kinds`` declares each.

    Attributes:
        name: by which tasks declare it.
        read: the value in a cell; raises ``BadRow``, ``empty`` or ``malformed``, naming the column.
        spell: the value as text that is equal for values which are the same.
        show: the value in a line of text; where a cell can hold it as text, what ``read`` reads back.
        check: given a value, its field, the name of the one that it is about and the row's values, raises
            ``BadRow`` if they do not go together.
        split: parts what is given from what is to be learnt, where one value holds both.
        texts: the texts in it, which a tokenizer is trained on; given, the spelling depends on ``spell``'s.
        classes: the names of classes in it.
        stratum: the part of it whose shares are kept in samples; ``None``: it has none.
        content: digest of what a value names, such as a file; ``None``: the value is all there is.
        draw: a small drawing of a value, given that of the field which it is about, or ``None``.
        single: what a row has one of, in a word, where a list would be another task.
    """

    name: FieldKind
    read: Callable[[Cell], Found]
    spell: Callable[[Any, Spell], str]
    show: Callable[[Any], str]
    check: Callable[[Any, Field, str, Mapping[str, Any]], None] | None = None
    split: Callable[[Any], tuple[Any, Any]] | None = None
    texts: Callable[[Any], Iterable[str]] = nothing
    classes: Callable[[Any], Iterable[str]] = nothing
    stratum: Callable[[Any], Hashable] | None = None
    content: Callable[[Any], bytes] | None = None
    draw: Callable[[Any, Any], Drawing | None] | None = None
    single: str = ""


def as_json(value: Any) -> str:
    """JSON in one line, letters as they are."""
    return json.dumps(value, ensure_ascii=False, default=str)

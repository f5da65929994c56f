"""A field of a recipe: a column, or text with columns in braces."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.data.map.normalise import to_text
from tunesmith.errors import UserError
from tunesmith.suggest import did_you_mean

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place that a column fills; ``path`` leads into nested columns."""

    name: str
    path: tuple[str, ...]

    def value(self, columns: Mapping[str, Any]) -> Any:
        """The column's value, ``None`` where it is absent."""
        value: Any = columns
        for key in self.path:
            if isinstance(value, Mapping):
                value = value.get(key)
            elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
                value = value[int(key)]
            else:
                return None
        return value


@dataclass(frozen=True, slots=True)
class Template:
    """Literal text and slots, in order; a column alone is one slot."""

    parts: tuple[str | Slot, ...]

    @property
    def column(self) -> Slot | None:
        """The column, if there is nothing but one."""
        only = self.parts[0] if len(self.parts) == 1 else None
        return only if isinstance(only, Slot) else None

    def render(self, columns: Mapping[str, Any]) -> tuple[str, str]:
        """The text, and apart from it what the row itself put in.

        A column without a value counts as empty text; if all are empty, so is the whole: a prompt made
        of nothing but the template's own words is no prompt.

        Raises:
            BadRow: a column holds something that is not text.
        """
        values = [to_text(part.value(columns), part.name) for part in self._slots()]
        if values and not any(value.strip() for value in values):
            return "", ""
        rest = iter(values)
        text = "".join(part if isinstance(part, str) else next(rest) for part in self.parts)
        return text, " ".join(values)

    def _slots(self) -> Iterable[Slot]:
        return (part for part in self.parts if isinstance(part, Slot))


def parse_field(
    spec: str, columns: Iterable[str], field: str, where: str = "", *, literal: bool = False
) -> Template:
    """Read a field's text: the exact name of a column, or a template in braces.

    ``{{`` and ``}}`` stand for braces; ``{meta.title}`` and ``{meta[title]}`` lead into nested columns.

    Args:
        spec: what the recipe says.
        columns: the columns that there are.
        field: the field's name, for messages.
        where: the place in the recipe, for messages.
        literal: text without braces stands for itself, even where a column has that name.

    Raises:
        UserError: an unknown column, or braces that do not pair.
    """
    columns = list(columns)
    if not literal and spec in columns:
        return Template((Slot(spec, (spec,)),))
    if not literal and "{" not in spec:
        return Template((_slot(spec, columns, field, where),))
    parts: list[str | Slot] = []
    for token in _TOKEN.finditer(spec):
        if token[0] in {"{", "}"}:
            raise UserError(
                f"`{field}: {spec}` has a lone `{token[0]}`",
                where,
                "a column is `{column}`; a brace is `{{` or `}}`",
            )
        if token[1] is not None:
            parts.append(_slot(token[1], columns, field, where))
        else:
            parts.append({"{{": "{", "}}": "}"}.get(token[0], token[0]))
    if not literal and not any(isinstance(part, Slot) for part in parts):
        raise UserError(f"`{field}: {spec}` holds no column", where, "write one brace a side: `{column}`")
    return Template(tuple(parts))


def _slot(name: str, columns: list[str], field: str, where: str) -> Slot:
    if name in columns:
        return Slot(name, (name,))
    path = tuple(part for part in re.split(r"[.\[\]]+", name) if part)
    if len(path) > 1 and path[0] in columns:
        return Slot(name, path)
    hint = did_you_mean(name, columns, "columns")
    if len(columns) == 1 and (separator := re.search(r"[;\t|]", columns[0])):
        hint += f"; the file seems to be separated by {separator[0]!r}, not by commas"
    raise UserError(f"`{field}` names the column `{name}`, which is not there", where, hint)

"""The base of every section of a recipe, and the plain values in it: nothing is converted in silence."""

from __future__ import annotations

from typing import Annotated

from pydantic import AllowInfNan, BaseModel, BeforeValidator, ConfigDict, Strict


class Section(BaseModel):
    """Base of every section: immutable and strict about keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


def parse_whole(value: object) -> object:
    """Take ``1e6`` for the whole number it is; leave everything else for the strict check."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(parse_whole, json_schema_input_type=int), Strict()]
Number = Annotated[float, Strict(), AllowInfNan(False)]
Flag = Annotated[bool, Strict()]

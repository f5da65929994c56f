"""Whether a text is JSON, and whether that fits a schema.

The part of JSON Schema (2020-12) that says what one value looks like; a keyword that is not among these is
refused when the recipe is checked, since one that is passed over would call wrong answers right.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tunesmith.pattern import matched


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and float(value).is_integer(),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
_SCHEMAS = ("anyOf", "allOf", "oneOf")
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_SIZES = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_SAYS_NOTHING = ("title", "description", "examples", "default", "$schema", "$comment")
_OTHERS = ("type", "enum", "const", "required", "additionalProperties", "items", "uniqueItems", "pattern")
KEYWORDS = frozenset((*_OTHERS, "properties", "not", *_SCHEMAS, *_NUMBERS, *_SIZES, *_SAYS_NOTHING))
DEEPEST = 60


def parse_json(text: str) -> Any:
    """The value of a JSON text, RFC 8259: no NaN, nothing after it.

    Raises:
        ValueError: if it is none.
    """

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is not JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None


def json_valid(prediction: str) -> float:
    """1 if the text is one JSON value and nothing else, else 0."""
    try:
        parse_json(str(prediction))
    except ValueError:
        return 0.0
    return 1.0


def json_fits(prediction: str, schema: Any) -> float:
    """1 if the text is JSON that fits the schema, else 0.

    Raises:
        TooSlow: a pattern in the schema takes too long on it.
    """
    try:
        return float(fits(parse_json(str(prediction)), schema))
    except (ValueError, RecursionError):
        return 0.0


def troubles(schema: Any, path: str = "") -> Iterator[str]:
    """What of a schema is not understood, in words; nothing if all of it is."""
    where = f" at `{path}`" if path else ""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping) or path.count(".") > DEEPEST:
        yield f"a schema is a mapping{where}"
        return
    for key, value in schema.items():
        here = f"{path}.{key}" if path else str(key)
        yield from _trouble(str(key), value, here)


def _trouble(key: str, value: Any, here: str) -> Iterator[str]:
    if key not in KEYWORDS:
        yield f"`{here}` is not understood"
    elif key == "type" and not all(isinstance(one, str) and one in _TYPES for one in _listed(value)):
        yield f"`{here}` must be of {', '.join(_TYPES)}"
    elif key == "pattern" and not _is_pattern(value):
        yield f"`{here}` is not a regular expression"
    elif key in _NUMBERS + _SIZES and not _is_number(value):
        yield f"`{here}` must be a number"
    elif key in ("enum", "required", *_SCHEMAS) and not isinstance(value, list | tuple):
        yield f"`{here}` must be a list"
    elif key == "properties":
        if not isinstance(value, Mapping):
            yield f"`{here}` must be a mapping"
        else:
            for name, below in value.items():
                yield from troubles(below, f"{here}.{name}")
    elif key in _SCHEMAS:
        for index, below in enumerate(value):
            yield from troubles(below, f"{here}.{index}")
    elif key in ("items", "not", "additionalProperties"):
        yield from troubles(value, here)


def fits(value: Any, schema: Any) -> bool:
    """Whether a value fits a schema in which ``troubles`` found none."""
    if isinstance(schema, bool):
        return schema
    return all(_holds(key, wanted, value, schema) for key, wanted in schema.items())


def _holds(key: str, wanted: Any, value: Any, schema: Mapping[str, Any]) -> bool:
    if key == "type":
        return any(_TYPES[one](value) for one in _listed(wanted))
    if key in ("enum", "const"):
        return any(_same(value, one) for one in (wanted if key == "enum" else [wanted]))
    if key == "not":
        return not fits(value, wanted)
    if key in _SCHEMAS:
        count = sum(fits(value, one) for one in wanted)
        return {"anyOf": count > 0, "allOf": count == len(wanted), "oneOf": count == 1}[key]
    if isinstance(value, dict):
        return _object_holds(key, wanted, value, schema)
    if isinstance(value, list):
        return _list_holds(key, wanted, value)
    if isinstance(value, str):
        return _within(key, "Length", len(value), wanted) and (
            key != "pattern" or matched(wanted, value, way="search") is not None
        )
    return not _is_number(value) or _number_holds(key, wanted, value)


def _object_holds(key: str, wanted: Any, value: dict[str, Any], schema: Mapping[str, Any]) -> bool:
    if key == "required":
        return all(name in value for name in wanted)
    if key == "properties":
        return all(fits(value[name], below) for name, below in wanted.items() if name in value)
    if key == "additionalProperties":
        known = schema.get("properties", {})
        return all(fits(below, wanted) for name, below in value.items() if name not in known)
    return _within(key, "Properties", len(value), wanted)


def _list_holds(key: str, wanted: Any, value: list[Any]) -> bool:
    if key == "items":
        return all(fits(one, wanted) for one in value)
    if key == "uniqueItems":
        texts = [json.dumps(one, sort_keys=True) for one in value]
        return not wanted or len(set(texts)) == len(texts)
    return _within(key, "Items", len(value), wanted)


def _within(key: str, what: str, size: int, wanted: Any) -> bool:
    return (key != f"min{what}" or size >= wanted) and (key != f"max{what}" or size <= wanted)


def _number_holds(key: str, wanted: Any, value: float) -> bool:
    bounds = {
        "minimum": lambda: value >= wanted,
        "maximum": lambda: value <= wanted,
        "exclusiveMinimum": lambda: value > wanted,
        "exclusiveMaximum": lambda: value < wanted,
    }
    return key not in bounds or bool(bounds[key]())


def _same(value: Any, other: Any) -> bool:
    """JSON's own equality: 1 is 1.0, and true is neither."""
    if isinstance(value, list) and isinstance(other, list | tuple):
        return len(value) == len(other) and all(map(_same, value, other))
    if isinstance(value, dict) and isinstance(other, Mapping):
        return value.keys() == other.keys() and all(_same(value[key], other[key]) for key in value)
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _is_pattern(value: Any) -> bool:
    try:
        re.compile(value)
    except (re.error, TypeError, OverflowError, RecursionError):
        return False
    return True

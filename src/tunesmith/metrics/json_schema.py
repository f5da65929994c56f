"""Whether a text is JSON, and whether that fits a schema.

JSON Schema 2020-12 as the package ``jsonschema`` understands it, but for what a recipe or an answer could do
harm with: a pattern is matched within a bound of time, so is a schema as a whole, and no address is ever
asked for. A keyword that is not known is refused when the recipe is checked, where the standard passes it
over: a misspelt one would call wrong answers right.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from tunesmith.pattern import TooSlow, matched

_IN_VALUE = (
    *("items", "contains", "not", "if", "then", "else", "additionalProperties", "propertyNames"),
    *("unevaluatedItems", "unevaluatedProperties"),
)
_IN_LIST = ("allOf", "anyOf", "oneOf", "prefixItems")
_IN_MAPPING = ("properties", "dependentSchemas", "$defs")
_OTHERS = (
    *(
        "type",
        "enum",
        "const",
        "required",
        "dependentRequired",
        "uniqueItems",
        "pattern",
        "multipleOf",
        "$ref",
    ),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength"),
    *("minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains"),
)
_OF_THE_SAME = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")
"""Keywords whose schemas are asked of the same value, not of a part of it."""
_SAYS_NOTHING = ("title", "description", "examples", "default", "$schema", "$comment")
KEYWORDS = frozenset((*_IN_VALUE, *_IN_LIST, *_IN_MAPPING, *_OTHERS, *_SAYS_NOTHING))
DEEPEST = 60
MOST_STEPS = 50_000
"""Of keywords for one answer; about a second. A schema of ten lines can ask for 2^n of them."""

_steps: ContextVar[list[int]] = ContextVar("steps")


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
        TooSlow: the schema, or a pattern in it, takes too long on it.
    """
    try:
        return float(fits(parse_json(str(prediction)), schema))
    except (ValueError, RecursionError, OverflowError):
        return 0.0


def fits(value: Any, schema: Any) -> bool:
    """Whether a value fits a schema in which ``troubles`` found none.

    Raises:
        TooSlow: it takes too long.
    """
    from referencing import Registry

    token = _steps.set([0])
    try:
        # A registry that is empty and fetches nothing: by default the package asks addresses for schemas.
        return bool(_bounded()(_plain(schema), registry=Registry()).is_valid(value))
    finally:
        _steps.reset(token)


def troubles(schema: Any) -> Iterator[str]:
    """What of a schema is not understood, in words; nothing if all of it is."""
    from jsonschema import Draft202012Validator

    if found := next(_unknown(schema, schema), None):
        yield found
        return
    wrong = Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(_plain(schema))
    for error in map(_deepest, wrong):
        here = ".".join(map(str, error.absolute_path))
        yield f"`{here}`: {error.message}" if here else str(error.message)


def _unknown(schema: Any, root: Any, path: str = "") -> Iterator[str]:
    """Keywords that nobody knows, references that lead nowhere, and patterns that are none."""
    where = f" at `{path}`" if path else ""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping) or path.count(".") > DEEPEST:
        yield f"a schema is a mapping{where}"
        return
    for key, value in schema.items():
        here = f"{path}.{key}" if path else str(key)
        if key not in KEYWORDS:
            yield f"`{here}` is not understood"
        elif key == "pattern" and not _is_pattern(value):
            yield f"`{here}` is not a regular expression"
        elif key == "$ref" and not _leads_on(value, root):
            yield f"`{here}` must lead to a schema in this one, `#/$defs/NAME`, and not back to itself"
        for name, below in _below(str(key), value):
            yield from _unknown(below, root, f"{here}.{name}" if name else here)


def _below(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Schemas that stand under a keyword, with their names; a wrong shape is for the meta-schema to say."""
    if key in _IN_VALUE:
        yield "", value
    elif key in _IN_LIST and isinstance(value, list | tuple):
        yield from ((str(index), below) for index, below in enumerate(value))
    elif key in _IN_MAPPING and isinstance(value, Mapping):
        yield from ((str(name), below) for name, below in value.items())


def _leads_on(reference: Any, root: Any) -> bool:
    """Whether it leads to a schema in this one, and not round in a circle that asks nothing of a value."""
    target = _target(reference, root)
    return isinstance(target, Mapping | bool) and not _comes_back(target, root, [], set())


def _comes_back(schema: Any, root: Any, under_way: list[int], done: set[int]) -> bool:
    """Whether a schema asks for itself of the same value."""
    if not isinstance(schema, Mapping) or id(schema) in done:
        return False
    if id(schema) in under_way:
        return True
    under_way.append(id(schema))
    asked = [below for key in _OF_THE_SAME if key in schema for _, below in _below(key, schema[key])]
    if "$ref" in schema:
        asked.append(_target(schema["$ref"], root))
    found = any(_comes_back(below, root, under_way, done) for below in asked)
    done.add(under_way.pop())
    return found


def _target(reference: Any, root: Any) -> Any:
    """What a JSON pointer of this document leads to; ``None`` if to nothing."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found = root
    for part in reference[1:].split("/")[1:]:
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        try:
            found = found[int(name)] if isinstance(found, list | tuple) else found[name]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return found if reference in ("", "#") or reference.startswith("#/") else None


def _deepest(error: Any) -> Any:
    """Of what one of several schemas should have held for, the first that did not."""
    while error.context:
        error = error.context[0]
    return error


@lru_cache(maxsize=1)
def _bounded() -> Any:
    """The validator of the standard, whose keywords are counted and whose patterns end in time."""
    from jsonschema import Draft202012Validator, validators

    rules = {**Draft202012Validator.VALIDATORS, "pattern": _pattern}
    return validators.extend(Draft202012Validator, {name: _counted(rule) for name, rule in rules.items()})


def _counted(rule: Callable[..., Any]) -> Callable[..., Any]:
    def act(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[Any]:
        steps = _steps.get()
        steps[0] += 1
        if steps[0] > MOST_STEPS:
            raise TooSlow(
                f"the schema has asked {MOST_STEPS:,} things of one answer, and has not ended",
                "eval.json_schema",
                "alternatives within alternatives multiply; name them once, and tell them apart by `const`",
            )
        yield from rule(validator, wanted, value, schema) or ()

    return act


def _pattern(validator: Any, wanted: str, value: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if isinstance(value, str) and matched(wanted, value, way="search") is None:
        yield ValidationError(f"{value!r} does not match {wanted!r}")


def _plain(value: Any) -> Any:
    """As JSON would give it: a recipe's lists are tuples."""
    if isinstance(value, Mapping):
        return {str(key): _plain(below) for key, below in value.items()}
    return [_plain(below) for below in value] if isinstance(value, list | tuple) else value


def _is_pattern(value: Any) -> bool:
    try:
        re.compile(value)
    except (re.error, TypeError, OverflowError, RecursionError):
        return False
    return True

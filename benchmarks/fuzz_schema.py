"""Recipes drawn from the published schema itself, so that every key is tried, new ones too; from a seed."""

from __future__ import annotations

import copy
import random
from functools import cache
from typing import Any

from fuzz_recipes import MORE_TASKS, ODD, a_text, base, put

DEEPEST = 5
UNTRIED = ('if __name__ == "__main__"', "extends")
# What says something in most of the places where a schema asks only for a string.
WORDS = [
    *("question", "answer", "kind", "number", "picture", "text", "./rows.jsonl", "1 step", "2 steps"),
    *("0.5 epochs", "1 epoch", "30s", "2GiB", "loss", "accuracy", "exact_match", "f1", "auto", "none", "all"),
    *("head", "row-3", "loss[kind=k0]", "worst/loss", "talk/loss", "{question}", "http://127.0.0.1:9/v1"),
    *("python:rows:make", "#0"),
]
NAMES = [
    "a",
    "talk",
    "loss",
    "accuracy",
    "exact_match",
    "kind",
    "question",
    "prompt",
    "text",
    "label",
    "a/b",
    "",
]
NUMBERS = [0, 1, 2, 3, 8, 16, 100, 0.0, 0.05, 0.5, 0.99, 1.0, 1.5, 1e-4, 1e9, -1]


@cache
def schema() -> dict[str, Any]:
    """The schema that `tunesmith schema` prints."""
    from tunesmith.recipe.json_schema import recipe_schema

    return recipe_schema()


def resolved(draw: random.Random, part: dict[str, Any]) -> dict[str, Any]:
    """One of the ways in which a part of the schema can be met."""
    while True:
        ways = part.get("anyOf") or part.get("oneOf")
        if "$ref" in part:
            part = schema()["$defs"][part["$ref"].rsplit("/", 1)[-1]]
        elif ways:
            part = draw.choice(ways)
        else:
            return part


def an_object(draw: random.Random, part: dict[str, Any], depth: int) -> dict[str, Any]:
    """What is required, some of what is allowed, and free names where the schema has them."""
    properties, free = part.get("properties", {}), part.get("additionalProperties")
    optional = [name for name in properties if name not in part.get("required", ())]
    picked = draw.sample(optional, min(len(optional), draw.choice([0, 1, 1, 2, 3])))
    keys = [*part.get("required", ()), *picked] if depth < DEEPEST else part.get("required", ())
    found = {name: an_instance(draw, properties[name], depth + 1) for name in keys if name in properties}
    if isinstance(free, dict) and depth < DEEPEST:
        for name in draw.sample(NAMES, draw.choice([0, 1, 2])):
            found[name] = an_instance(draw, free, depth + 1)
    return found


def an_instance(draw: random.Random, part: dict[str, Any], depth: int = 0) -> Any:
    """A value that the schema allows, as far as a schema can say it."""
    part = resolved(draw, part)
    if "const" in part or "enum" in part:
        return draw.choice(part.get("enum") or [part["const"]])
    kind = part.get("type")
    if kind == "object":
        return an_object(draw, part, depth)
    if kind == "array":
        return [an_instance(draw, part.get("items", {}), depth + 1) for _ in range(draw.choice([0, 1, 1, 2]))]
    if kind in ("integer", "number"):
        fitting = [one for one in NUMBERS if allowed(part, one)]
        return draw.choice(fitting or NUMBERS)
    plain = {"boolean": [True, False], "null": [None], "string": WORDS}
    return draw.choice(plain.get(str(kind), ODD))


def allowed(part: dict[str, Any], number: float) -> bool:
    """Whether a number is of a part's type and within its bounds."""
    if part.get("type") == "integer" and not isinstance(number, int):
        return False
    low, above = part.get("minimum", -1e99), part.get("exclusiveMinimum", -1e99)
    high, below = part.get("maximum", 1e99), part.get("exclusiveMaximum", 1e99)
    return bool(low <= number <= high and above < number < below)


def a_change(draw: random.Random) -> tuple[list[str], Any]:
    """A path into the schema, and a value there: mostly one that the schema allows."""
    part, path = schema(), []
    while True:
        part = resolved(draw, part)
        properties = {name: one for name, one in part.get("properties", {}).items() if name not in UNTRIED}
        if part.get("type") == "array" and path:
            path, part = [*path, "0"], part.get("items", {})
        elif properties and (not path or draw.random() < 0.75):
            name = draw.choice(list(properties))
            path, part = [*path, name], properties[name]
        else:
            break
    if path[-1:] == ["workers"]:  # each starts an interpreter of its own: sixteen of them are slow, not wrong
        return path, draw.choice([0, 1, 2])
    if path == ["run", "dir"]:  # what the fuzz must see no file written outside of
        return path, draw.choice(["runs/other", "runs/a/b", "/", ""])
    return path, draw.choice(ODD) if draw.random() < 0.15 else an_instance(draw, part)


def a_schema_recipe(seed: int) -> bytes:
    """A recipe that is right, with one to four keys set to what the schema allows, or nearly."""
    draw = random.Random(f"schema {seed}")
    recipe = base(draw, MORE_TASKS)
    for _ in range(draw.choice([1, 1, 2, 3, 4])):
        path, value = a_change(draw)
        put(recipe, path, copy.deepcopy(value))
    return a_text(draw, recipe)

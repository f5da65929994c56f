"""A recipe back to YAML with every default filled in, and the hash of what shapes its learning."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import yaml
from pydantic import BaseModel

from tunesmith.recipe.schema.quantities import Every
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.spec import TaskSettings
from tunesmith.recipe.yaml.nodes import BASED, FLOAT, INTEGER

_NOT_LEARNING = (
    ("run", "dir"),
    ("run", "threads"),
    ("run", "save_every"),
    ("run", "keep"),
    ("run", "saving"),
    ("run", "deadline"),
    ("run", "merge"),
    ("run", "trackers"),
    ("run", "variants"),
    ("data", "workers"),
    ("data", "cache"),
    ("batch", "micro"),
    ("batch", "checkpointing"),
    ("eval", "samples"),
    ("eval", "batch_size"),
)


class _Dumper(yaml.SafeDumper):
    """Quotes text by the rules that ``scalars.resolve`` reads it with."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    odd = any(not (letter.isprintable() or letter == "\n") for letter in text)
    odd = odd or '"""' in text  # which would end the string that a recipe is to Python
    style = '"' if odd else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.yaml_implicit_resolvers = {}
for _tag, _pattern in (
    ("null", re.compile(r"~|null|Null|NULL|")),
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE")),
    ("int", re.compile(f"(?:{INTEGER.pattern}|{BASED.pattern})")),
    ("float", re.compile(rf"(?:{FLOAT.pattern}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))")),
    ("merge", re.compile("<<")),
):
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern.pattern})\Z"), None)
_Dumper.add_representer(str, _represent_text)
_Dumper.ignore_aliases = lambda self, data: True  # type: ignore[method-assign]


def to_yaml(recipe: Recipe) -> str:
    """The whole recipe as YAML that loads to the same recipe. Settings that say "nothing" are left out."""
    return yaml.dump(
        _filled(recipe),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=110,
        default_flow_style=False,
    )


def scalar_text(value: object) -> str:
    """One value as it can stand in a recipe, also inside ``{…}`` or ``[…]``."""
    return yaml.dump(
        [value], Dumper=_Dumper, allow_unicode=True, width=10**9, default_flow_style=True
    ).strip()[1:-1]


def recipe_hash(recipe: Recipe) -> str:
    """SHA-256, in hex, over what shapes learning.

    Left out is what only says where, how fast or how talkative a run is: ``run`` but for its seed, workers
    and cache, the micro-batch, recomputation, and the size of evaluation batches.
    """
    content = _filled(recipe)
    for section, key in _NOT_LEARNING:
        content.get(section, {}).pop(key, None)
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _filled(value: Any) -> Any:
    """Sections to dicts in the order of the schema, tuples to lists, frequencies to text."""
    if isinstance(value, Every):
        return str(value)
    if isinstance(value, TaskSettings) and _says_only_its_name(value):
        return value.name
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {
            name: _short(_filled(getattr(value, name)))
            for name, field in fields.items()
            if not _says_nothing(getattr(value, name), field.get_default(call_default_factory=True))
        } | {name: _filled(one) for name, one in (value.model_extra or {}).items()}
    if isinstance(value, dict):
        return {str(key): _filled(below) for key, below in value.items()}
    return [_filled(item) for item in value] if isinstance(value, list | tuple) else value


def _says_only_its_name(task: TaskSettings) -> bool:
    """Whether every setting is as unsaid: the word says all, and no later default changes the hash."""
    fields = {name: field for name, field in type(task).model_fields.items() if name != "name"}
    return not task.model_extra and all(
        getattr(task, name) == field.default for name, field in fields.items()
    )


def _short(value: Any) -> Any:
    """A number of a section without its ``.0``; the schema brings it back."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value


def _says_nothing(value: Any, default: Any) -> bool:
    return value in (None, (), {}) and value == default

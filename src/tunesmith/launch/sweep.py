"""Many runs of one recipe: ``--array key.path=value,value``, a run for every combination (pure)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.errors import UserError

MOST = 1000
_RANGE = re.compile(r"(-?[0-9]{1,9})\.\.(-?[0-9]{1,9})")
_OPENING, _CLOSING = "[{(", "]})"


@dataclass(frozen=True, slots=True)
class Combination:
    """One run of a sweep.

    Attributes:
        name: of its folder below the sweep's run directory, e.g. ``learning_rate=1e-4,rank=8``.
        overrides: what it changes in the recipe.
    """

    name: str
    overrides: tuple[str, ...]


def combinations(axes: Sequence[str]) -> list[Combination]:
    """Every combination of the values of some axes, the last axis varying fastest.

    Args:
        axes: each ``key.path=value,value``. A comma inside brackets or quotes does not part, and
            ``2..5`` stands for 2, 3, 4, 5.

    Raises:
        UserError: an axis is malformed, or there are too many combinations.
    """
    parsed = [_axis(text) for text in axes]
    keys = [key for key, _ in parsed]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise UserError(f"`--array` names `{twice}` twice", hint="put all its values into one axis")
    count = 1
    for _, values in parsed:
        count *= len(values)
    if count > MOST:
        raise UserError(f"`--array` asks for {count:,} runs", hint=f"ask for {MOST:,} at most")
    found: list[Combination] = []
    names: set[str] = set()
    short = _short_names(keys)
    for index, chosen in enumerate(itertools.product(*(values for _, values in parsed))):
        name = ",".join(f"{part}={_safe(value)}" for part, value in zip(short, chosen, strict=True))
        name = name if len(name) <= 120 and name not in names else f"{name[:100]}-{index}"
        names.add(name)
        found.append(Combination(name, tuple(f"{k}={v}" for k, v in zip(keys, chosen, strict=True))))
    return found


def _axis(text: str) -> tuple[str, list[str]]:
    key, sign, rest = text.partition("=")
    example = "write e.g. `--array optimizer.learning_rate=1e-4,1e-3`"
    if not sign or not re.fullmatch(r"[\w.-]+", key):
        raise UserError(f"`--array {text}` is no `key.path=value,value`", hint=example)
    if key == "run.dir":
        raise UserError("`--array` cannot sweep `run.dir`: each run gets its own", hint=example)
    span = _RANGE.fullmatch(rest)
    if span:
        first, last = int(span[1]), int(span[2])
        values = [str(number) for number in range(first, last + 1)][: MOST + 1]
    else:
        values = [part.strip() for part in _split(rest)]
    if not values or any(not value for value in values):
        raise UserError(f"`--array {text}` lacks a value", hint=example)
    if len(set(values)) < len(values):
        raise UserError(f"`--array {text}` says a value twice", hint="say each once")
    return key, values


def _split(text: str) -> list[str]:
    """Parts between commas that stand outside of brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        depth += 0 if quote else (letter in _OPENING) - (letter in _CLOSING)
        if letter == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _short_names(keys: Sequence[str]) -> list[str]:
    """The last step of each key, or the whole of it where two end alike."""
    last = [key.rpartition(".")[2] for key in keys]
    return [key if last.count(end) > 1 else end for key, end in zip(keys, last, strict=True)]


def _safe(value: str) -> str:
    """A value as a part of a folder's name."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", value).strip("_") or "_"

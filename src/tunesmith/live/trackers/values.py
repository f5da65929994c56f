"""What a line of ``metrics.jsonl`` is to a tracker: named numbers, and the verdict in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Values = dict[str, float | str]

_STEP = ("loss", "grad_norm", "learning_rate", "epoch", "tokens", "supervised_tokens", "seconds")
_UNWELCOME = re.compile(r"[^\w. :/-]")
"""Characters that some tracker refuses in a name, as in ``accuracy[language=de]``."""


def tracker_values(record: Mapping[str, Any]) -> Values:
    """The numbers of a step as ``train/…``, those of an evaluation as ``eval/…``, its verdict as text.

    Ends of intervals are ``eval/NAME_low`` and ``eval/NAME_high``. What is not finite is left out, and so
    are lines of other kinds.
    """
    if record.get("kind") == "train":
        return _numbers("train", {name: record.get(name) for name in _STEP})
    if record.get("kind") != "eval":
        return {}
    found = dict(record.get("metrics") or {})
    for name, ends in (record.get("intervals") or {}).items():
        found[f"{name}_low"], found[f"{name}_high"] = ends
    found |= {name: record.get(name) for name in ("examples", "seconds", "epoch")}
    verdict = record.get("verdict") or {}
    said = {"verdict": f"{verdict['decision']}: {verdict['reason']}"} if verdict else {}
    return {**_numbers("eval", found), **said}


def _numbers(prefix: str, found: Mapping[str, Any]) -> Values:
    return {
        f"{prefix}/{_UNWELCOME.sub('_', name)}": float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def settings_of(recipe: Mapping[str, Any], prefix: str = "") -> dict[str, str | float]:
    """A recipe as flat settings: ``optimizer.learning_rate`` and so on."""
    flat: dict[str, str | float] = {}
    for key, value in recipe.items():
        name = f"{prefix}{_UNWELCOME.sub('_', str(key))}"
        if isinstance(value, Mapping):
            flat |= settings_of(value, f"{name}.")
        else:
            flat[name] = value if isinstance(value, int | float) else str(value)[:500]
    return flat

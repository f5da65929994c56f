"""The stop rules as a person would read them aloud, for the plan that is shown before a run."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.recipe.stop_rules import StopRule

_OWN = ("sure", "confirm", "missing")
_JOINED = ("any", "all")


def rules_in_words(rules: Sequence[StopRule]) -> tuple[str, ...]:
    """A line a rule: ``target: exact_match 0.85, sure 0.95``; joined ones in brackets."""
    return tuple(_words(rule) for rule in rules)


def _words(rule: StopRule) -> str:
    parts = []
    for kind in _JOINED:
        members = getattr(rule, kind)
        if members is not None:
            parts.append(f"{kind} of ({'; '.join(_words(member) for member in members)})")
    plain = rule.model_dump(exclude_none=True, exclude={*_OWN, *_JOINED})
    for kind, keys in plain.items():
        said = ", ".join(f"{key} {value}" for key, value in keys.items())
        parts.append(f"{kind}: {said}" if said else kind)
    own = [f"{key} {getattr(rule, key)}" for key in _OWN if getattr(rule, key) is not None]
    return ", ".join([*parts, *own])

"""Lines under the numbers: by what the weights were chosen, and what is reached without any model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith import numbers
from tunesmith.report.run_files import RunFiles


def chosen_by(run: RunFiles) -> str:
    """Which metric chose the weights, which rule names it, and a warning where that rests on few rows."""
    found = (run.result or {}).get("chosen_by")
    if not isinstance(found, Mapping) or not found.get("metric"):
        return ""
    rule = f", which the {found['rule']} names ({found.get('where')})" if found.get("rule") else ""
    none = "" if found.get("rule") else ", since no rule names another metric"
    rows = f", over {numbers.number(found['rows'])} rows" if isinstance(found.get("rows"), int) else ""
    warning = str(found.get("warning") or "")
    more = f" {warning[0].upper()}{warning[1:]}." if warning else ""
    return f"The weights kept are those with the best {found['metric']}{rule}{none}{rows}.{more}"


def without_model(run: RunFiles) -> list[str]:
    """``always ham: accuracy 0.868``, a line for each answer that needs no model."""
    listed = (run.data or {}).get("without_model")
    found = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    return [f"{one.get('name')}: {_values(one.get('metrics'))}" for one in found if one.get("metrics")]


def _values(metrics: Any) -> str:
    values = metrics if isinstance(metrics, Mapping) else {}
    return ", ".join(f"{name} {numbers.number(value)}" for name, value in values.items())


def classes(run: RunFiles) -> tuple[tuple[str, str, str], ...]:
    """Each class with its training and its evaluation rows, the commonest first."""
    found = (run.data or {}).get("classes")
    parts: Sequence[Mapping[str, Any]] = (
        [part if isinstance(part, Mapping) else {} for part in (found.get("train"), found.get("eval"))]
        if isinstance(found, Mapping)
        else []
    )
    if not parts:
        return ()
    train, held_out = parts
    names = dict.fromkeys((*train, *held_out))
    return tuple((str(n), numbers.number(train.get(n, 0)), numbers.number(held_out.get(n, 0))) for n in names)

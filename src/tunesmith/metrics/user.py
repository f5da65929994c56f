"""Metrics of the user's own: ``python:MODULE:NAME``, a function or a ``Metric`` in a file beside the recipe.

The file is imported where rows are prepared (``prepare/user_metrics.py``), and found again by its name among
the imported modules; nothing here imports it.
"""

from __future__ import annotations

import math
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

from tunesmith.errors import UserError
from tunesmith.metrics.metric import Metric, ScoredRow
from tunesmith.metrics.names import user_part
from tunesmith.metrics.table import metric_direction


def user_metric(name: str) -> Metric:
    """The declaration of a user's metric, whose file has been imported.

    A function gives the value of one example, and the metric is the mean. What it gave is taken from the
    examples where they hold it, so that no example is asked twice.

    Raises:
        UserError: it is not there, is no metric, or says another direction than its name.
    """
    part = user_part(name)
    module = sys.modules.get(part.module) if part is not None else None
    if part is None or module is None:
        raise UserError(f"metric `{name}` has not been loaded", hint="it runs with its recipe alone")
    found = getattr(module, part.attribute, None)
    better = metric_direction(name)
    if isinstance(found, Metric):
        if found.better != better:
            raise UserError(
                f"`{name}` says `better: {found.better}`, and by its name it would be `{better}`",
                str(module.__file__),
                f"write `python:{part.module}:{part.attribute}:{found.better}` wherever the recipe names it",
            )
        own = replace(found, name=name, needs="any")
    elif callable(found):
        own = Metric(name=name, better=better, low=-math.inf, high=math.inf, each=found)
    else:
        state = "has no" if found is None else "has something else than a function or a `Metric` called"
        raise UserError(f"`{module.__file__}` {state} `{part.attribute}`", hint=_there(module))
    return _guarded(own, module)


def _there(module: ModuleType) -> str:
    public = [name for name, value in vars(module).items() if not name.startswith("_") and _is_metric(value)]
    return f"it has {', '.join(f'`{name}`' for name in public)}" if public else "write it there"


def _is_metric(value: object) -> bool:
    return isinstance(value, Metric) or (callable(value) and not isinstance(value, type))


def _guarded(metric: Metric, module: ModuleType) -> Metric:
    """The same, whose exceptions name the file and the line, and whose values are numbers."""

    def guarded(function: Callable[..., Any] | None, check: bool = False) -> Callable[..., Any] | None:
        if function is None:
            return None

        def called(*arguments: Any) -> Any:
            try:
                value = function(*arguments)
                return float(value) if check else value
            except Exception as error:
                raise _blamed(metric.name, error, module) from error

        return called

    each = guarded(metric.each, check=True)
    return replace(
        metric,
        each=None if each is None else _remembered(metric.name, each),
        statistics=guarded(metric.statistics),
        combine=guarded(metric.combine),
        whole=guarded(metric.whole, check=True),
        influence=guarded(metric.influence),
    )


def _remembered(name: str, each: Callable[[ScoredRow], float]) -> Callable[[ScoredRow], float]:
    return lambda row: row.given[name] if name in row.given else each(row)


def _blamed(name: str, error: Exception, module: ModuleType) -> UserError:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == module.__file__]
    reason = f"{type(error).__name__}: {error}".strip().removesuffix(":")
    if not own:
        return UserError(
            f"metric `{name}` gave no number: {reason[:300]}",
            str(module.__file__),
            "return one number, `float('nan')` where there is no value",
        )
    place = f"{own[-1].filename}:{own[-1].lineno}"
    return UserError(
        f"metric `{name}` raised {reason[:300]}", place, "mend that code; see docs/evaluation.md"
    )

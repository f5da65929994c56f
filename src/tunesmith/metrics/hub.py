"""Metrics of the hub by name: ``hub:wer`` or ``evaluate:org/name`` means ``evaluate.load("wer")``.

Such a metric is a Python script that ``evaluate`` downloads and runs, so that naming one is a
decision to trust it. A folder of that name in the working directory goes before the hub's. Without
a network it works only if it is in the cache.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.errors import UserError
from tunesmith.metrics.table import METRICS

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


def hub_compute(name: str, predictions: Sequence[Any], references: Sequence[Any], cache_dir: str) -> float:
    """Load a hub metric and compute it.

    Args:
        name: with its prefix, e.g. ``hub:wer``.
        predictions: what the model gave.
        references: what it is compared with, in the same order.
        cache_dir: folder for the metric's temporary files.

    Returns:
        The value under the metric's own name, or its only number.

    Raises:
        UserError: if it cannot be loaded, refuses the values, or gives several numbers.
    """
    bare = name.partition(":")[2]
    if not _NAME.fullmatch(bare):
        raise UserError(f"`{name}` is not a metric of the hub", hint="write `hub:NAME` or `hub:ORG/NAME`")
    module = _load(name, bare, cache_dir)
    try:
        result = module.compute(predictions=list(predictions), references=list(references))
    except Exception as problem:
        raise UserError(
            f"metric `{name}` refused the predictions: {problem}",
            hint="it may want numbers, or lists of references; one of this project's own metrics may do: "
            + ", ".join(METRICS),
        ) from problem
    return _only_number(name, bare, result)


def _load(name: str, bare: str, cache_dir: str) -> Any:
    import evaluate

    try:
        return evaluate.load(bare, keep_in_memory=True, cache_dir=cache_dir)
    except Exception as problem:  # the library raises a dozen kinds: network, missing file, missing package
        first_line = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise UserError(
            f"metric `{name}` could not be loaded: {first_line}",
            hint="it comes from the hub, which must be reachable or in the cache; these need neither: "
            + ", ".join(METRICS),
        ) from problem


def _only_number(name: str, bare: str, result: Mapping[str, Any] | None) -> float:
    numbers = {
        key: float(value)
        for key, value in (result or {}).items()
        if isinstance(value, int | float) or getattr(value, "ndim", None) == 0
    }
    own = bare.rpartition("/")[2]
    if own in numbers:
        return numbers[own]
    if len(numbers) == 1:
        return next(iter(numbers.values()))
    if not numbers and not result:
        return math.nan
    raise UserError(
        f"metric `{name}` gives several values ({', '.join(result or {})}) and none is called `{own}`",
        hint="choose a metric that gives one number",
    )

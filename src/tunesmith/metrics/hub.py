"""Metrics of the hub by name and commit: ``hub:wer@<40 hexadecimal digits>``, ``hub:org/name@…``.

Such a metric is a Python script that runs here. Naming the commit is the decision to trust it: no other
code answers to the name, neither what the hub has by now nor a folder of that name in the working
directory. Without a network it works if that commit is in the hub's cache.
"""

from __future__ import annotations

import math
import re
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.errors import UserError
from tunesmith.metrics.metric import Metric, ScoredRow
from tunesmith.metrics.table import METRICS, metric_direction

_NAME = re.compile(
    r"(?:(?P<owner>[A-Za-z0-9][\w.-]*)/)?(?P<name>[A-Za-z0-9][\w.-]*)@(?P<commit>[0-9a-f]{40})"
)
_OWNER = "evaluate-metric"
"""Whose the metrics without an owner are."""
RESAMPLES = 100
"""Of a hub metric, whose every value takes milliseconds."""


def hub_metric(name: str) -> Metric:
    """The declaration of a hub metric, whose script is loaded when its first value is wanted.

    Nothing is known of its range.
    """
    return Metric(
        name=name,
        better=metric_direction(name),
        low=-math.inf,
        high=math.inf,
        whole=_Script(name),
        resamples=RESAMPLES,
        meaning="a metric of the hub",
    )


class _Script:
    """Computes a hub metric in memory and in a temporary folder of its own, so that nothing stays behind."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._module: Any = None

    def __call__(self, rows: Sequence[ScoredRow]) -> float:
        """The value under the metric's own name, or its only number.

        Raises:
            UserError: no commit is named, it cannot be loaded, refuses the values, or gives several numbers.
        """
        found = _NAME.fullmatch(self._name.partition(":")[2])
        if found is None:
            raise UserError(
                f"`{self._name}` is not a metric of the hub at a commit",
                hint="it is code that runs here: read it, and write `hub:NAME@` with 40 hexadecimal digits",
            )
        if self._module is None:
            folder = tempfile.mkdtemp(prefix="tunesmith-metric-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self._module = _load(self._name, found, folder)
        predictions, references = [row.prediction for row in rows], [row.reference for row in rows]
        try:
            result = self._module.compute(predictions=predictions, references=references)
        except Exception as problem:
            raise UserError(
                f"metric `{self._name}` refused the predictions: {problem}",
                hint="it may want numbers, or lists of references; one of this project's own metrics may do: "
                + ", ".join(METRICS),
            ) from problem
        return _only_number(self._name, found["name"], result)


def _load(name: str, found: re.Match[str], cache_dir: str) -> Any:
    import evaluate
    from huggingface_hub import snapshot_download

    repository = f"{found['owner'] or _OWNER}/{found['name']}"
    try:
        folder = snapshot_download(
            repository, repo_type="space", revision=found["commit"], allow_patterns=["*.py", "*.json"]
        )
        script = Path(folder, f"{found['name']}.py")
        return evaluate.load(str(script), keep_in_memory=True, cache_dir=cache_dir)
    except Exception as problem:  # the library raises a dozen kinds: network, missing file, missing package
        first_line = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise UserError(
            f"metric `{name}` could not be loaded: {first_line}",
            hint="it comes from the hub, which must be reachable or in the cache; these need neither: "
            + ", ".join(METRICS),
        ) from problem


def _only_number(name: str, own: str, result: Mapping[str, Any] | None) -> float:
    numbers = {
        key: float(value)
        for key, value in (result or {}).items()
        if isinstance(value, int | float) or getattr(value, "ndim", None) == 0
    }
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

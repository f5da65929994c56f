"""What each evaluation example scored, in files that two runs can be compared by: ``scores.jsonl``.

``scores.jsonl`` belongs to the evaluation whose weights were kept, ``baseline_scores.jsonl`` to the one
before the first step. One JSON object a line, in the order of the evaluation set:

``{"id": …, "loss": …, "count": …, "correct": …, "prediction": …, "reference": …, "input": …}``

``loss`` is summed over the example's ``count`` supervised tokens (or is the sample's own), ``correct`` of
which were the model's first choice. A loss that is not finite is ``null``. ``given``, where it stands, holds
what else is known by name: confidences, and values that a metric had of its own; ``values``, where a metric
needs them, the log-probability of each class.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.atomic import allowed, finite, write_text
from tunesmith.checkpoint.plain_file import MIB, read_plain
from tunesmith.errors import UserError
from tunesmith.redact import redact_deep
from tunesmith.tasks.task import Scored

SCORES, BASELINE_SCORES = "scores.jsonl", "baseline_scores.jsonl"
MOST_INPUT = 1600
"""Characters of an input that are kept; predictions and references are kept whole, as they are compared."""

MOST_SCORES = 1024 * MIB


def write_scores(path: Path, rows: Iterable[Scored], *, check: Callable[[], None] = allowed) -> None:
    """Write the scores of one evaluation, whole or not at all.

    Args:
        path: ``scores.jsonl`` or ``baseline_scores.jsonl`` in a run directory; replaced if it is there.
        rows: every example of the evaluation, once; secrets in their texts are blotted out.
        check: asked just before the file gets its name; raises if it must not.

    Raises:
        UserError: if the disk is full or may not be written.
    """
    write_text(path, "".join(f"{_line(one)}\n" for one in rows), exact=True, check=check)


def _line(one: Scored) -> str:
    record = {
        "id": one.id,
        "loss": one.loss,
        "count": one.count,
        "correct": one.correct,
        "prediction": one.prediction,
        "reference": one.reference,
        "input": one.input[:MOST_INPUT],
        **({"given": dict(one.given)} if one.given else {}),
        **({"values": {name: float(f"{x:.7g}") for name, x in one.values.items()}} if one.values else {}),
    }
    return json.dumps(finite(redact_deep(record)), ensure_ascii=True, allow_nan=False, default=str)


def read_scores(path: Path) -> tuple[Scored, ...]:
    """The scores of one evaluation; a loss of ``null`` is not a number.

    Raises:
        UserError: if a line is no such record, or an example stands there twice.
        OSError: it is not there, cannot be read, or is no plain file.
    """
    rows, seen = [], set()
    text = read_plain(path, MOST_SCORES).decode("utf-8", "replace")
    for number, line in enumerate(text.splitlines(), start=1):
        one = _score(line)
        if one is None or one.id in seen:
            raise UserError(
                "this line is not the score of one example" if one is None else f"`{one.id}` is there twice",
                where=f"{path}:{number}",
                hint="the file was edited or is damaged; run the recipe again into a new directory",
            )
        seen.add(one.id)
        rows.append(one)
    return tuple(rows)


def _score(line: str) -> Scored | None:
    try:
        found: Any = json.loads(line)
        return Scored(
            id=str(found["id"]),
            loss=math.nan if found["loss"] is None else float(found["loss"]),
            count=int(found["count"]),
            correct=int(found["correct"]),
            prediction=found["prediction"],
            reference=found["reference"],
            input=str(found.get("input") or ""),
            given=_numbers(found.get("given")),
            values=_numbers(found.get("values")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return None


def _numbers(found: Any) -> dict[str, float]:
    return {str(name): math.nan if value is None else float(value) for name, value in (found or {}).items()}

"""``rows.jsonl``: from which step on rows are seen in which order, so that each step's rows can be named.

The order is a pure function of the step, so it is written once, before the first step, and again where a run
goes on with other rows, another seed or another batch. That costs a step nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tunesmith.checkpoint.atomic import write_text
from tunesmith.checkpoint.journal import read_journal
from tunesmith.data.row_order import RowOrder, order_to_plain
from tunesmith.redact import redact_deep
from tunesmith.report.row_steps import ROWS


def record_order(run_dir: Path, ids: Iterable[str], order: RowOrder, done: int) -> None:
    """Write that the steps after ``done`` see rows in this order; durable when it returns.

    What was written for later steps, by a part of the run that was given up, goes. Call it when those steps
    have gone from ``metrics.jsonl``, and before another is added.

    Args:
        run_dir: ours.
        ids: of the rows to learn from.
        order: in which they are seen.
        done: steps that are done.

    Raises:
        UserError: if it cannot be written, or what is there was damaged.
    """
    path = run_dir / ROWS
    before = read_journal(path)
    kept = [record for record in before if _begins(record) < done]
    now = redact_deep(order_to_plain(ids, order))
    if not kept or {**kept[-1], "begins": 0} != {"begins": 0, **now}:
        kept.append({"begins": done, **now})
    if kept != before:
        lines = [json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in kept]
        write_text(path, "".join(line + "\n" for line in lines))


def _begins(record: dict[str, object]) -> int:
    begins = record.get("begins")
    return begins if isinstance(begins, int) else -1

"""The points of a run's curves, and later only those that are new."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunesmith.live.tail import FilePosition, read_new
from tunesmith.report.charts.downsample import downsample
from tunesmith.report.run_files import Record, add_record
from tunesmith.report.summary import notes_of

MOST_POINTS = 1500
TRAIN = ("loss", "learning_rate", "grad_norm", "tokens", "seconds")


def curve(run_dir: Path, place: FilePosition) -> dict[str, Any]:
    """What was added to a run's journal since ``place``, as columns.

    Returns:
        ``place`` (to go on from), ``anew`` (whether to forget what was sent before), ``train`` (one list a
        column, thinned so that no extreme of the loss is lost) and ``evals``.
    """
    news = read_new(run_dir / "metrics.jsonl", place)
    kept: dict[str, list[Record]] = {"train": [], "eval": []}
    anew, records = news.anew, list(news.records)
    while news.more:
        news = read_new(run_dir / "metrics.jsonl", news.place)
        records += news.records
    for record in records:
        add_record(kept, record)
    rows = _thinned(kept["train"])
    return {
        "place": [news.place.inode, news.place.offset],
        "anew": anew,
        "train": {
            "step": [r["step"] for r in rows],
            **{key: [_number(r.get(key)) for r in rows] for key in TRAIN},
        },
        "evals": [_evaluation(record) for record in _some(kept["eval"])],
    }


def _thinned(rows: Sequence[Record]) -> Sequence[Record]:
    """Few enough lines, among them the highest and lowest losses."""
    if len(rows) <= MOST_POINTS:
        return rows
    points = [
        (float(index), loss)
        for index, row in enumerate(rows)
        if (loss := _number(row.get("loss"))) is not None
    ]
    return [rows[int(index)] for index, _ in downsample(points, most=MOST_POINTS)]


def _some(rows: Sequence[Record]) -> Sequence[Record]:
    every = -(-len(rows) // MOST_POINTS) or 1
    return [row for index, row in enumerate(rows) if index % every == 0 or index == len(rows) - 1]


def _evaluation(record: Record) -> dict[str, Any]:
    verdict = record.get("verdict")
    told = verdict if isinstance(verdict, dict) else {}
    metrics, intervals = record.get("metrics"), record.get("intervals")
    return {
        "step": record["step"],
        "tokens": _number(record.get("tokens")),
        "seconds": _number(record.get("at")),
        "took": _number(record.get("seconds")),
        "examples": _number(record.get("examples")),
        "metrics": {str(k): _number(v) for k, v in metrics.items()} if isinstance(metrics, dict) else {},
        "intervals": {str(k): v for k, v in intervals.items() if _is_pair(v)}
        if isinstance(intervals, dict)
        else {},
        "decision": str(told.get("decision") or ""),
        "rule": str(told.get("rule") or ""),
        "reason": str(told.get("reason") or "")[:1000],
        "notes": [note[:1000] for note in notes_of(record)],
    }


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_number(end) is not None for end in value)


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -float("inf") < value < float("inf") else None

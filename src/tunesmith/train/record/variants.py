"""Variants of a recipe side by side."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tunesmith.checkpoint.atomic import write_json
from tunesmith.judge.selection.best import primary_metric
from tunesmith.recipe.load import load_recipe
from tunesmith.report.page import write_report
from tunesmith.world.environment import read_world


def compare_variants(finished: Sequence[tuple[str, Path]]) -> None:
    """Write ``variants.json`` and a report beside the variants, and print their table.

    Only the first process does.
    """
    if not read_world(os.environ).is_main:
        return
    rows = [_row(name, run_dir) for name, run_dir in finished]
    parent = finished[0][1].parent
    metric = primary_metric(load_recipe(finished[0][1] / "recipe.yaml").stop)
    write_json(parent / "variants.json", {"metric": metric, "variants": rows})
    Console().print(table_of(rows))
    print(f"report  {write_report(parent)}", flush=True)


def table_of(rows: Sequence[dict[str, Any]]) -> Table:
    """One line a variant: what learnt, how long, and every metric at the best step."""
    names = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    table = Table("variant", "parameters trained", "steps", "seconds", *names)
    for row in rows:
        values = [f"{row['metrics'][name]:.4f}" if name in row["metrics"] else "" for name in names]
        table.add_row(
            row["name"], f"{row['trained_parameters']:,}", str(row["steps"]), f"{row['seconds']:.1f}", *values
        )
    return table


def _row(name: str, run_dir: Path) -> dict[str, Any]:
    result = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))
    best = result.get("delivered") or result["best"] or {}
    environment = json.loads((run_dir / "environment.json").read_text(encoding="utf-8"))
    return {
        "name": name,
        "dir": run_dir.name,
        "metrics": best.get("metrics", {}),
        "intervals": best.get("intervals", {}),
        "trained_parameters": environment["trained_parameters"],
        "steps": result["stop"]["step"],
        "seconds": result["throughput"]["seconds"],
    }

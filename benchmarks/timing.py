"""What benchmarks that look into a run share: parts of it timed from within, and its own clock."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def timed(name: str, act: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which prints the seconds of each call to ``stderr``."""

    def timing(*arguments: Any, **more: Any) -> Any:
        began = time.monotonic()
        result = act(*arguments, **more)
        print(json.dumps({"timed": name, "seconds": time.monotonic() - began}), file=sys.stderr, flush=True)
        return result

    return timing


def seconds_said(stderr: str, name: str) -> list[float]:
    """What ``timed`` printed."""
    said = [json.loads(line) for line in stderr.splitlines() if line.startswith('{"timed"')]
    return [float(one["seconds"]) for one in said if one["timed"] == name]


def records_of(run: Path, kind: str) -> list[dict[str, Any]]:
    """Records of a run's journal."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]

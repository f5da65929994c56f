"""Fuzz what reads somebody's run directory: odd folders, each listed, reported, watched and compared.

    python benchmarks/fuzz_folders.py                # 2,000 folders
    python benchmarks/fuzz_folders.py --one 1234     # one of them

Every folder must be read in time, with a ``UserError`` at the most; a list names it and the good run beside
it; nothing of the file outside gets into a page, and no sign that commands a terminal into what is said.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS = 10
OUTSIDE = "FROM-OUTSIDE"
FILES = [
    "recipe.yaml",
    "metrics.jsonl",
    "result.json",
    "environment.json",
    "data.json",
    "samples.json",
    "preview.json",
    "confusion.json",
    "variants.json",
    "plan.txt",
    "scores.jsonl",
    "owner.lock",
    "baseline_scores.jsonl",
    "slurm/job.json",
    "slurm/starts.jsonl",
]
KEYS = [
    "status",
    "stop",
    "rule",
    "reason",
    "step",
    "kind",
    "metrics",
    "intervals",
    "verdict",
    "decision",
    "best",
    "loss",
    "seconds",
    "tokens",
    "id",
    "variants",
    "metric",
    "name",
    "dir",
    "labels",
    "counts",
    "host",
    "pid",
    "start",
    "job",
    "mark",
    "runs",
    "baseline",
    "throughput",
    "examples",
    "epoch",
    "eval",
    "task",
    "run",
    "run.dir",
    "target",
    "prediction",
    "reference",
    "input",
    "before",
    "after",
    "test",
]
TEXTS = [
    "",
    "x",
    "eval",
    "train",
    "stopped",
    "loss",
    "\x1b]0;x\x07",
    "\u202edlog",
    "\ud800",
    "<script>alert(1)</script>",
    "{{x}}",
    "../../etc",
    "nan",
    "1e999",
    "a" * 3000,
    "javascript:alert(1)",
    "\x00",
    "two\nlines",
    "%s%n",
    "[bold]x[/]",
]
NUMBERS = [0, 1, 3, -1, 2**53, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"), -float("inf")]
COMMANDS = {chr(c) for c in (*range(9), *range(11, 32), 127, *range(128, 160), 0x202E, 0x2028)}


def value(draw: random.Random, depth: int = 0) -> Any:
    """Any JSON value, of keys that are known and of sizes that are not."""
    kind = draw.choice(["text", "number", "null", "bool", "list", "map", "map"][: 4 if depth > 3 else 7])
    if kind == "text":
        return draw.choice([*TEXTS, *KEYS])
    if kind == "number":
        return draw.choice(NUMBERS)
    if kind == "list":
        return [value(draw, depth + 1) for _ in range(draw.randrange(4))]
    if kind == "map":
        return {draw.choice([*KEYS, *KEYS, *TEXTS]): value(draw, depth + 1) for _ in range(draw.randrange(5))}
    return None if kind == "null" else draw.random() < 0.5


def content(draw: random.Random, name: str) -> bytes:
    """What a file may hold: odd values in the right form, cut off, or anything."""
    if name.endswith(".jsonl"):
        lines = []
        for step in range(draw.randrange(6)):
            record = value(draw)
            known = {"kind": draw.choice(["eval", "train"]), "step": step, "id": str(step), "count": 1}
            lines.append(json.dumps({**known, **record} if isinstance(record, dict) else record))
        text = "\n".join([*lines, ""])
    else:
        text = json.dumps(value(draw))
    raw = text.encode("utf-8", "surrogatepass")
    return draw.choice([raw, raw, raw, raw[: draw.randrange(len(raw) + 1)], b"\xff\xfe\0", b"[" * 50_000])


def put(draw: random.Random, folder: Path, good: Path) -> None:
    """Some files, odd or those of a good run, and what is no file at all."""
    (folder / "slurm").mkdir(parents=True)
    for name in FILES:
        path, way = folder / name, draw.random()
        if way < 0.35:
            path.write_bytes(content(draw, name))
        elif way < 0.5 and (good / name).is_file():
            path.write_bytes((good / name).read_bytes())
        elif way < 0.55:
            path.symlink_to(good.parent.parent / "outside")
        elif way < 0.58:
            os.mkfifo(path)
        elif way < 0.6:
            path.mkdir()
        elif way < 0.62:
            with path.open("wb") as file:
                file.truncate(3 << 30)
        elif way < 0.63:
            os.chdir(path.parent)
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(path.name)


def readers(root: Path, odd: Path, good: Path) -> dict[str, Callable[[], str]]:
    """Everything that reads a run directory, each giving what it would say."""
    from rich.console import Console

    from tunesmith.launch.runs import find_runs, runs_table, states_of
    from tunesmith.live.tail import FilePosition
    from tunesmith.live.watch import watch_run
    from tunesmith.report.compare.page import render_comparison
    from tunesmith.report.compare.runs import compare_runs
    from tunesmith.report.page import render_page
    from tunesmith.ui.curve import curve
    from tunesmith.ui.run_index import RunIndex

    def watched() -> str:
        out = io.StringIO()
        watch_run(odd, once=True, console=Console(file=out, width=100, highlight=False))
        return out.getvalue()

    def listed() -> str:
        text = runs_table(states_of(find_runs([root]))[0])
        assert f"{good} " in text, "a run is hidden"
        return text

    def shelved() -> str:
        found = RunIndex(root).changes(0)
        assert any(run["name"] == "good" for run in found["runs"]), "a run is hidden"
        return json.dumps([run["name"] for run in found["runs"]]) + json.dumps(curve(odd, FilePosition()))

    return {
        "status": listed,
        "report": lambda: render_page(odd),
        "watch": watched,
        "ui": shelved,
        "compare": lambda: render_comparison(compare_runs([good, odd])),
    }


def trouble(name: str, read: Callable[[], str]) -> str:
    """What is wrong with one reader on one folder; nothing if all is well."""
    from tunesmith.errors import UserError

    signal.alarm(SECONDS)
    try:
        said = read()
    except UserError:
        return ""
    except TimeoutError:
        return f"{name}: no end within {SECONDS} s"
    except BaseException as error:
        where = [one for one in traceback.extract_tb(error.__traceback__) if "tunesmith/" in one.filename]
        at = f"{where[-1].filename.rpartition('tunesmith/')[2]}:{where[-1].lineno}" if where else ""
        return f"{name}: {type(error).__name__} at {at}: {str(error)[:100]!r}"
    finally:
        signal.alarm(0)
    if OUTSIDE in said:
        return f"{name}: what lies outside is shown"
    if "<script>alert" in said and name in ("report", "compare"):
        return f"{name}: HTML of the run stands in the page"
    shown = COMMANDS & set(said) if name in ("status", "watch") else set()
    return f"{name}: {sorted(shown)} would reach the terminal" if shown else ""


def run_seed(seed: int, place: Path, make_good: Callable[[Path], object]) -> list[str]:
    """What goes wrong with the folder of a seed."""
    root = place / str(seed) / "runs"
    (place / str(seed)).mkdir()
    (place / str(seed) / "outside").write_text(OUTSIDE)
    make_good(root / "good")
    put(random.Random(seed), root / "odd", root / "good")
    found = [trouble(name, read) for name, read in readers(root, root / "odd", root / "good").items()]
    return [one for one in found if one]


def make_good(folder: Path) -> None:
    """A finished run, as the tests write one."""
    import importlib.util

    path = Path(__file__).parents[1] / "tests" / "report" / "conftest.py"
    spec = importlib.util.spec_from_file_location("written", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.write_run(folder, steps=40, every=10)


def late(number: int, frame: object) -> None:
    raise TimeoutError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folders", type=int, default=2_000)
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--one", type=int, default=None, help="one seed")
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, late)
    seeds = (
        [options.one] if options.one is not None else range(options.start, options.start + options.folders)
    )
    wrong: Counter[str] = Counter()
    first: dict[str, int] = {}
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="own-fuzz-") as scratch:
        for seed in seeds:
            for one in run_seed(seed, Path(scratch), make_good):
                wrong[one] += 1
                first.setdefault(one, seed)
    for one, count in wrong.most_common():
        print(f"{count:5} {one} (first: {first[one]})")
    print(f"{len(seeds)} folders, {sum(wrong.values())} wrong, {time.monotonic() - started:.0f} s")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())

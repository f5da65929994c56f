"""Real runs, started as in ``tests/train``, with faults that strike at a named point."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

STEPS = 12
SETTINGS = [
    f"stop=[{{budget: {{steps: {STEPS}}}}}]",
    "eval.every=4",
    "eval.metrics=[exact_match,f1]",
    "data.train.arguments.count=120",
    "model.new.attention_dropout=0.1",
]


@pytest.fixture(scope="session")
def settings():
    """Of a run of some seconds with a baseline, three evaluations, and dropout."""
    return SETTINGS


@pytest.fixture(scope="session")
def controls(launcher, read, tmp_path_factory):
    """What a run that nothing disturbed wrote, by the number of its processes and further settings."""
    known = {}

    def control(processes: int = 1, *more: str) -> Path:
        key = (processes, more)
        if key not in known:
            known[key] = tmp_path_factory.mktemp("control") / "run"
            launcher.run("causal-lm", *SETTINGS, *more, f"run.dir={known[key]}", processes=processes)
        return known[key]

    return control


@pytest.fixture(scope="session")
def same(read):
    """Insist that a run learnt, measured and ended exactly as another did."""

    def check(run_dir: Path, control: Path) -> None:
        keys = ("step", "loss_hex", "grad_norm", "learning_rate", "samples", "tokens")
        ours, theirs = (
            [[record[key] for key in keys] for record in read.journal(folder, "train")]
            for folder in (run_dir, control)
        )
        assert ours == theirs
        ours, theirs = (
            [(record["step"], record["metrics"]) for record in read.journal(folder, "eval")]
            for folder in (run_dir, control)
        )
        assert ours == theirs
        assert read.weights(run_dir) == read.weights(control)
        for key in ("status", "stop", "best", "final", "baseline"):
            results = [read.json(folder / "result.json")[key] for folder in (run_dir, control)]
            assert results[0] == results[1], key

    return check


@pytest.fixture
def struck(launcher, read, settings, tmp_path):
    """Start a run with a fault, and wait until the fault's point is reached."""

    def start(orders: str, *more: str, processes: int = 1):
        mark = tmp_path / "mark"
        mark.unlink(missing_ok=True)
        launched = launcher.start(
            "causal-lm",
            *settings,
            *more,
            f"run.dir={tmp_path / 'run'}",
            processes=processes,
            TUNESMITH_FAULT=f"{orders} mark={mark}",
        )
        read.until(lambda: mark.exists() or launched.ended(), f"the point of `{orders}`")
        assert mark.exists(), f"the point of `{orders}` was never reached: {launched.err[-2000:]}"
        return launched, time.monotonic()

    return start


def pytest_terminal_summary(terminalreporter):
    """How long each fault took, for ``docs/reliability.md``."""
    for line in TIMES:
        terminalreporter.write_line(json.dumps(line))


TIMES: list[dict] = []


@pytest.fixture
def took(request):
    """Note the seconds of something that has a bound."""

    def note(seconds: float, bound: float) -> None:
        TIMES.append({"test": request.node.name, "seconds": round(seconds, 1), "bound": bound})
        assert seconds < bound

    return note

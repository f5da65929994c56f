"""Real trackers beside real runs: what arrives, what is not sent twice, and one that is down."""

import json
import signal
import socket
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tunesmith.checkpoint.atomic import write_text
from tunesmith.checkpoint.journal import append_record
from tunesmith.errors import UserError
from tunesmith.prepare.check.trackers import refuse_missing_trackers
from tunesmith.recipe.schema.run import Tracker
from tunesmith.train.record.trackers import tracked

Points = dict[str, list[tuple[int, float]]]


def tensorboard(folder: Path) -> Points:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    tags = events.Tags()
    assert "verdict/text_summary" in tags["tensors"]
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags["scalars"]}


def mlflow(folder: Path) -> Points:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tunesmith")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["optimizer.learning_rate"] in ("0.001", "0.003")
    assert run.data.tags["verdict"].startswith(("continue: ", "stop: "))
    history = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
    return {name: [(one.step, one.value) for one in points] for name, points in history.items()}


def wandb_records(path: Path) -> Iterator[bytes]:
    """Records of a file in LevelDB's log format: blocks of 32 KiB, pieces headed by crc, length and type."""
    data, whole, place = path.read_bytes(), b"", 7
    while place + 7 <= len(data):
        if (room := 32768 - place % 32768) < 7:
            place += room
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield whole
            whole = b""


def wandb(folder: Path) -> Points:
    from wandb.proto.wandb_internal_pb2 import Record

    found: Points = {}
    paths = sorted(folder.glob("wandb/offline-run-*/*.wandb"))
    assert len({path.name for path in paths}) == 1, "one run, however often it went on"
    for raw in (raw for path in paths for raw in wandb_records(path)):
        record = Record()
        record.ParseFromString(raw)
        items = {one.key or "/".join(one.nested_key): one.value_json for one in record.history.item}
        for key, value in items.items():
            if key.startswith(("train/", "eval/")):
                found.setdefault(key, []).append((int(items["_step"]), float(value)))
    return found


def trackio(folder: Path) -> Points:
    found: Points = {}
    with closing(sqlite3.connect(folder / "trackio" / "tunesmith.db")) as database:
        rows = database.execute("select run_name, step, metrics from metrics order by step").fetchall()
    assert len({name for name, _, _ in rows}) == 1
    for _, step, metrics in rows:
        for key, value in json.loads(metrics).items():
            if key.startswith(("train/", "eval/")):
                found.setdefault(key, []).append((step, value))
    return found


READERS: dict[str, Callable[[Path], Points]] = {
    "tensorboard": tensorboard,
    "mlflow": mlflow,
    "wandb": wandb,
    "trackio": trackio,
}


def begin(run_dir: Path) -> Path:
    run_dir.mkdir()
    write_text(run_dir / "recipe.yaml", "task: causal-lm\noptimizer: {learning_rate: 0.001}\n")
    return run_dir / "metrics.jsonl"


def write_steps(journal: Path, steps: range) -> None:
    for step in steps:
        append_record(journal, {"kind": "train", "step": step, "loss": 1 / step, "tokens": 40 * step})
        if step % 5 == 0:
            verdict = {"decision": "continue", "rule": "", "reason": "loss of 0.1"}
            measured = {"metrics": {"loss": 2 / step}, "intervals": {"loss": [1 / step, 3 / step]}}
            append_record(journal, {"kind": "eval", "step": step, **measured, "verdict": verdict})


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    # A run that is killed and goes on, below, shows the same of these two: each takes seconds to start.
    [pytest.param(name, marks=[pytest.mark.long] * (name in ("mlflow", "wandb"))) for name in READERS],
)
def test_what_arrives_and_what_a_continuation_adds(tmp_path, name) -> None:
    """One run of the tool, every step once, though the journal of a continuation repeats some."""
    pytest.importorskip(name)
    journal = begin(tmp_path / "run")
    with tracked([name], tmp_path / "run", main=True, patience=60.0):
        write_steps(journal, range(1, 13))
    journal.unlink()
    write_steps(journal, range(1, 11))
    append_record(journal, {"kind": "resume", "step": 10})
    with tracked([name], tmp_path / "run", main=True, patience=60.0):
        write_steps(journal, range(11, 21))
    found = READERS[name](tmp_path / "run" / "trackers")
    assert found["train/loss"] == [(step, pytest.approx(1 / step)) for step in range(1, 21)]
    assert found["eval/loss"] == [(step, pytest.approx(2 / step)) for step in (5, 10, 15, 20)]
    assert found["eval/loss_high"][1] == (10, pytest.approx(0.3))


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        yield server.getsockname()[1]


@pytest.fixture
def closed() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@pytest.mark.parametrize("port", ["silent", "closed"])
def test_one_that_is_down_costs_training_nothing_and_the_end_little(tmp_path, capfd, request, port) -> None:
    pytest.importorskip("mlflow")
    journal = begin(tmp_path / "run")
    address = f"http://127.0.0.1:{request.getfixturevalue(port)}"
    started = time.monotonic()
    with tracked([Tracker(name="mlflow", address=address)], tmp_path / "run", main=True, patience=4.0):
        assert time.monotonic() - started < 3
        write_steps(journal, range(1, 13))
        left = time.monotonic()
    assert time.monotonic() - left < 9
    lines = [line for line in capfd.readouterr().err.splitlines() if line]
    assert len(lines) == 1, lines
    assert lines[0].startswith("tracker `mlflow`: ")
    assert lines[0].endswith("; training goes on")


def test_a_tracker_that_comes_back_gets_everything(tmp_path, capfd) -> None:
    """A file stands where its folder should be, and goes away later."""
    pytest.importorskip("tensorboard")
    journal, folder = begin(tmp_path / "run"), tmp_path / "run" / "trackers"
    folder.mkdir()
    (folder / "tensorboard").write_text("")
    said = ""
    with tracked(["tensorboard"], tmp_path / "run", main=True, patience=60.0):
        write_steps(journal, range(1, 8))
        deadline = time.monotonic() + 60
        while "tracker `tensorboard`" not in said:
            assert time.monotonic() < deadline
            said += capfd.readouterr().err
            time.sleep(0.05)
        (folder / "tensorboard").unlink()
    assert [step for step, _ in tensorboard(folder)["train/loss"]] == list(range(1, 8))


def test_other_processes_than_the_first_start_nothing(tmp_path) -> None:
    begin(tmp_path / "run")
    with tracked(["tensorboard"], tmp_path / "run", main=False):
        pass
    assert not (tmp_path / "run" / "trackers").exists()


def test_a_missing_package_is_said_before_training(monkeypatch, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError) as caught:
        refuse_missing_trackers(["wandb"])
    assert "needs the package `wandb`" in caught.value.what
    assert "pip install 'tunesmith[trackers]'" in caught.value.hint
    monkeypatch.delitem(sys.modules, "wandb")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    (tmp_path / "wandb").mkdir()  # where W&B keeps its files
    with pytest.raises(UserError):
        refuse_missing_trackers(["wandb"])


SECRETS = {
    "WANDB_API_KEY": "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c",
    "PLAIN_SECRET": "says a zebra, planted",
}


@pytest.mark.slow
def test_a_run_that_is_killed_and_goes_on(launcher, tmp_path, read) -> None:
    """Every step once in each tool, the same model as without them, and no secret anywhere."""
    pytest.importorskip("mlflow")
    pytest.importorskip("wandb")
    run_dir = tmp_path / "run"
    settings = ["stop=[{budget: {steps: 40}}]", "eval.every=10", "data.train.arguments.count=300"]
    settings += [f"data.train.prompt='{{name}} has a {{animal}}, which {SECRETS['PLAIN_SECRET']}'"]
    launcher.run("causal-lm", *settings, f"run.dir={tmp_path / 'alone'}", **SECRETS)
    local = "run.trackers=[tensorboard, mlflow, wandb]"
    first = launcher.start("causal-lm", *settings, local, f"run.dir={run_dir}", **SECRETS)
    read.until(lambda: len(list(run_dir.glob("checkpoints/*/manifest.json"))) >= 2, "two checkpoints")
    first.signal(signal.SIGKILL)
    first.wait()
    launcher.run("causal-lm", *settings, local, f"run.dir={run_dir}", **SECRETS)
    assert read.losses(run_dir) == read.losses(tmp_path / "alone")
    assert read.weights(run_dir) == read.weights(tmp_path / "alone")
    losses = {
        kind: {one["step"]: pytest.approx(one["loss"]) for one in records}
        for kind, records in (
            ("train", read.journal(run_dir, "train")),
            ("eval", [{**one, **one["metrics"]} for one in read.journal(run_dir, "eval")]),
        )
    }
    assert list(losses["train"]) == list(range(1, 41))
    for name in ("tensorboard", "mlflow", "wandb"):
        found = READERS[name](run_dir / "trackers")
        for kind, expected in losses.items():
            steps = Counter(step for step, _ in found[f"{kind}/loss"])
            assert steps == Counter(expected.keys()), (name, kind)
            assert dict(found[f"{kind}/loss"]) == expected, (name, kind)
        assert found["eval/loss_high"], name
    for path in run_dir.rglob("*"):
        if path.is_file():
            assert not [name for name, word in SECRETS.items() if word.encode() in path.read_bytes()], path

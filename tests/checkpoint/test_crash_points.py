"""Saving dies, fails or loses power at each of its file operations: a whole checkpoint is always there."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from tunesmith.checkpoint import atomic, saver
from tunesmith.checkpoint.atomic import publish_folder, staging_folder, write_json
from tunesmith.checkpoint.journal import append_record, read_journal, truncate_after
from tunesmith.checkpoint.manifest import checkpoints, newest_valid, verify
from tunesmith.checkpoint.run_dir import recover
from tunesmith.checkpoint.saver import Saver
from tunesmith.judge.measurement import Progress
from tunesmith.train.engine.learner import Learner
from tunesmith.train.engine.process import Process
from tunesmith.train.resume.checkpointer import Checkpointer
from tunesmith.train.resume.save import keep_best, save_checkpoint, wait_for_saver
from tunesmith.train.resume.state import State
from tunesmith.world.environment import World

_spec = importlib.util.spec_from_file_location("crash_points", Path(__file__).with_name("crash_points.py"))
crash_points = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(crash_points)

EVERY_ACTION = pytest.mark.parametrize("action", crash_points.ACTIONS)
SAMPLE = 4
"""Of the points of a save, about so many more than one of every operation: `make test`; else all."""
DIES = (-signal.SIGKILL, crash_points.NOT_REACHED)


class Bench:
    """Saves a model with one number, whose value tells the step."""

    def __init__(self, one_number) -> None:
        self.process = Process(Accelerator(cpu=True), World(), 1, "no")
        self.engine = one_number(self.process.accelerator)
        self.model = self.engine.bare

    def measure_and_save(self, run_dir: Path, step: int, *, keep: int, best: int) -> None:
        """What the loop does with files at a step: keep the best weights, save, let go of older ones."""
        with torch.no_grad():
            self.model.weight.fill_(step)
        state = State(progress=Progress(step=step, epoch=0.0, tokens=step, seconds=0.0), best_step=best)
        checkpointer = Checkpointer(
            process=self.process,
            learner=Learner(engine=self.engine, model=self.model, task=None, dtype=torch.float32),
            saver=Saver(rank=0, processes=1, tell=lambda _: None),
            run_dir=run_dir,
            keep=keep,
            recipe_hash="abc",
        )
        if best == step:
            keep_best(checkpointer, step)
        save_checkpoint(checkpointer, state)
        wait_for_saver(checkpointer)


@pytest.fixture(scope="module")
def bench(one_number):
    return Bench(one_number)


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(saver, "PAUSES", (0.001,))
    monkeypatch.setattr(saver, "LOOK", 0.001)


@pytest.fixture
def place(tmp_path):
    """A folder in memory if there is one: thousands of copies are made in it."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="tunesmith-") as folder:
        yield Path(folder)


def damage(folder: Path) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-2])


def assert_sound(run_dir: Path, steps: tuple[int, ...], what: object) -> int:
    """After the next owner has put things in order: a whole checkpoint, its best weights, no rubbish."""
    recover(run_dir)
    folder, passed_over = newest_valid(run_dir / "checkpoints")
    assert folder is not None, what
    assert passed_over == [], what
    state = json.loads((folder / "state.json").read_text())
    step = state["progress"]["step"]
    assert step in steps, what
    assert verify(run_dir / "best" / f"step-{state['best_step']:08d}") == [], what
    rubbish = [path for path in run_dir.rglob("*") if ".tmp-" in path.name or ".old-" in path.name]
    assert rubbish == [], what
    return step


A_BEST = pytest.mark.parametrize(("keep", "best"), [(1, 3), (2, 1)], ids=["a new best", "an old best"])


@EVERY_ACTION
@A_BEST
@pytest.mark.slow
@pytest.mark.matrix(sample=5, each="action")
def test_a_save(bench, place, action, keep, best) -> None:
    check_save(bench, place, action, keep, best, SAMPLE)


@EVERY_ACTION
@A_BEST
@pytest.mark.long
def test_a_save_at_every_point(bench, place, action, keep, best) -> None:
    found, number = check_save(bench, place, action, keep, best, None)
    assert number > 40
    assert found == ({2, 3} if action in ("killed", "power", "power, names too") else {3})


def check_save(bench, place, action, keep, best, sample) -> tuple[set[int], int]:
    """The steps of the checkpoints that were there afterwards, and at how many points."""
    before = place / "before"
    for step in (1, 2):
        bench.measure_and_save(before, step, keep=keep, best=1)

    def save(run_dir: Path) -> None:
        bench.measure_and_save(run_dir, 3, keep=keep, best=best)

    found = set()
    points = crash_points.enumerate_points(before, save, action, place, sample)
    for number, (at, ended, run_dir) in enumerate(points, 1):  # noqa: B007
        went_on = ended not in DIES or ended == crash_points.NOT_REACHED
        found.add(assert_sound(run_dir, (3,) if went_on else (2, 3), at))
        if not went_on:  # the next run comes this way again
            assert crash_points.in_child(lambda run_dir=run_dir: save(run_dir)) == 0
            assert assert_sound(run_dir, (3,), at) == 3
        kept = [path.name for path in checkpoints(run_dir / "checkpoints")]
        if ended == crash_points.TOLERATED:  # it went on by itself, perhaps after making room
            assert kept[0] == "step-00000003", at
            assert len(kept) <= keep + 1, at
        else:
            assert kept == [f"step-{step:08d}" for step in (3, 2, 1)[:keep]], at
        assert len(list((run_dir / "best").iterdir())) <= 2, at
    return found, number


@EVERY_ACTION
@pytest.mark.slow
@pytest.mark.matrix(sample=3)
def test_a_save_in_place_of_a_damaged_one(bench, place, action) -> None:
    check_save_in_place(bench, place, action, SAMPLE)


@EVERY_ACTION
@pytest.mark.long
def test_a_save_in_place_of_a_damaged_one_at_every_point(bench, place, action) -> None:
    check_save_in_place(bench, place, action, None)


def check_save_in_place(bench, place, action, sample) -> None:
    before = place / "before"
    for step in (1, 2):
        bench.measure_and_save(before, step, keep=2, best=1)
    damage(before / "checkpoints" / "step-00000002")

    def save(run_dir: Path) -> None:
        bench.measure_and_save(run_dir, 2, keep=2, best=1)

    for at, ended, run_dir in crash_points.enumerate_points(before, save, action, place, sample):
        recover(run_dir)
        folder, _ = newest_valid(run_dir / "checkpoints")
        assert folder is not None, at
        if ended not in (-signal.SIGKILL,):
            assert folder.name == "step-00000002", at


@EVERY_ACTION
def test_a_model_that_is_published_again(place, action) -> None:
    names = {"old": ("a", "b"), "new": ("a", "c")}

    def publish(run_dir: Path, content: str = "new") -> None:
        temporary = staging_folder(run_dir / "model")
        for name in names[content]:
            (temporary / name).write_text(content * 9)
        publish_folder(temporary, run_dir / "model", replace=True)

    before = place / "before"
    publish(before, "old")
    for at, ended, run_dir in crash_points.enumerate_points(before, publish, action, place):
        recover(run_dir)
        assert os.listdir(run_dir) == ["model"], at
        held = {path.name: path.read_text() for path in (run_dir / "model").iterdir()}
        whole = [dict.fromkeys(names[content], content * 9) for content in ("old", "new")]
        assert held in (whole if ended == -signal.SIGKILL else whole[1:]), at


@EVERY_ACTION
def test_a_line_of_the_journal_and_a_result(place, action) -> None:
    before = place / "before"
    before.mkdir()
    for step in (1, 2, 3):
        append_record(before / "metrics.jsonl", {"kind": "train", "step": step})
    write_json(before / "result.json", {"status": "old"})

    def work(run_dir: Path) -> None:
        truncate_after(run_dir / "metrics.jsonl", 2)
        append_record(run_dir / "metrics.jsonl", {"kind": "resume", "step": 2}, durable=True)
        write_json(run_dir / "result.json", {"status": "new"})

    for at, _, run_dir in crash_points.enumerate_points(before, work, action, place):
        recover(run_dir)
        steps = [record["step"] for record in read_journal(run_dir / "metrics.jsonl")]
        assert steps[:2] == [1, 2], at
        assert json.loads((run_dir / "result.json").read_text())["status"] in ("old", "new"), at
        assert sorted(os.listdir(run_dir)) == ["metrics.jsonl", "result.json"], at


@EVERY_ACTION
def test_putting_things_in_order_is_itself_no_danger(bench, place, action) -> None:
    before = place / "before"
    bench.measure_and_save(before, 1, keep=2, best=1)
    shutil.copytree(before / "checkpoints", before / "checkpoints" / "step-00000002.tmp-1-abababab")
    (before / "best" / "step-00000001").rename(before / "best" / "step-00000001.old-abababab")
    (before / "model.old-abababab.tmp-1-cdcdcdcd").mkdir()  # half removed
    (before / "result.json.tmp-1-abababab").write_text("half")
    for at, _, run_dir in crash_points.enumerate_points(before, recover, action, place):
        assert_sound(run_dir, (1,), at)
        assert sorted(os.listdir(run_dir)) == ["best", "checkpoints"], at


@pytest.mark.parametrize("action", ["killed", "power, names too"])
@pytest.mark.slow
@pytest.mark.parametrize("sample", [2, pytest.param(None, marks=pytest.mark.long)], ids=["some", "all"])
def test_a_failure_and_then_a_death(place, action, sample) -> None:
    """A process that went on after one fault meets a second: what was moved aside is still the newest."""

    def publish(run_dir: Path, content: str) -> None:
        temporary = staging_folder(run_dir / "model")
        (temporary / "a").write_text(content)
        publish_folder(temporary, run_dir / "model", replace=True)

    before = place / "before"
    publish(before, "0")
    (place / "failed").mkdir()
    failed = [
        shutil.copytree(run_dir, place / "failed" / str(at))
        for at, _, run_dir in crash_points.enumerate_points(
            before, lambda d: publish(d, "1"), "EIO", place, sample
        )
    ]
    for run_dir in failed:
        for at, ended, died in crash_points.enumerate_points(
            run_dir, lambda d: publish(d, "2"), action, place, sample
        ):
            recover(died)
            assert (died / "model" / "a").read_text() in ("12" if ended == -signal.SIGKILL else "2"), at
            assert os.listdir(died) == ["model"]


# --- the enumeration itself can fail --------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "without", "action"),
    [
        ("sync_folder", lambda folder: None, "power, names too"),
        ("_sync_tree", lambda folder: None, "power"),
    ],
)
def test_a_missing_flush_is_seen(place, monkeypatch, name, without, action) -> None:
    """With a flush left out, a power cut after publishing takes what was published."""
    monkeypatch.setattr(atomic, name, without)

    def publish_and_tell(run_dir: Path) -> None:
        temporary = staging_folder(run_dir / "model")
        (temporary / "a").write_text("new")
        publish_folder(temporary, run_dir / "model", replace=True)
        for path, flags in ((run_dir / "told" / "it", os.O_CREAT | os.O_WRONLY), (run_dir / "told", 0)):
            os.fsync(os.open(path, flags))  # comes after, so the model must be there
        (run_dir / "told" / "end").mkdir()

    before = place / "before"
    (before / "told").mkdir(parents=True)
    lost = [
        at
        for at, ended, run_dir in crash_points.enumerate_points(before, publish_and_tell, action, place)
        if ended == -signal.SIGKILL
        and (run_dir / "told" / "it").exists()
        and not ((run_dir / "model" / "a").exists() and (run_dir / "model" / "a").read_text())
    ]
    assert lost


def test_a_checkpoint_without_staging_is_seen(bench, place) -> None:
    before = place / "before"
    bench.measure_and_save(before, 1, keep=2, best=1)

    def careless(run_dir: Path) -> None:
        shutil.copytree(run_dir / "checkpoints" / "step-00000001", run_dir / "checkpoints" / "step-00000002")
        shutil.rmtree(run_dir / "checkpoints" / "step-00000001")

    def look() -> None:
        for at, _, run_dir in crash_points.enumerate_points(before, careless, "killed", place):
            assert_sound(run_dir, (1, 2), at)

    with pytest.raises(AssertionError):
        look()

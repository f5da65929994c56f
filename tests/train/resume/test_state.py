"""Which checkpoints and best weights stay, and what happens when they are damaged."""

from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator

from tunesmith.checkpoint.manifest import verify
from tunesmith.checkpoint.saver import Saver
from tunesmith.errors import UserError
from tunesmith.judge.measurement import Measurement, Progress, Verdict
from tunesmith.train.engine.learner import Learner
from tunesmith.train.engine.process import Process
from tunesmith.train.resume.checkpointer import Checkpointer
from tunesmith.train.resume.restore import load_checkpoint, restore_best
from tunesmith.train.resume.save import keep_best, save_checkpoint, wait_for_saver
from tunesmith.train.resume.state import START, State
from tunesmith.world.environment import World


class Bench:
    """A model with one number, whose value tells the step."""

    def __init__(self, run_dir, one_number) -> None:
        self.run_dir, process = run_dir, Process(Accelerator(cpu=True), World(), 1, "no")
        engine = one_number(process.accelerator)
        self.model = engine.bare
        self.checkpointer = Checkpointer(
            process=process,
            learner=Learner(engine=engine, model=self.model, task=None, dtype=torch.float32),
            saver=Saver(rank=0, processes=1),
            run_dir=run_dir,
            keep=2,
            recipe_hash="abc",
        )

    def at(self, step: int, best: int | None) -> State:
        with torch.no_grad():
            self.model.weight.fill_(step)
        progress = Progress(step=step, epoch=step / 7, tokens=3 * step, seconds=step * 0.1)
        return State(progress=progress, best_step=best)

    def save(self, state: State, keep: int = 2) -> None:
        save_checkpoint(replace(self.checkpointer, keep=keep), state)
        wait_for_saver(self.checkpointer)

    def best(self, step: int) -> None:
        self.at(step, step)
        keep_best(self.checkpointer, step)
        wait_for_saver(self.checkpointer)

    def load(self):
        return load_checkpoint(self.checkpointer)

    def kept(self, folder: str) -> list[int]:
        return sorted(int(path.name[5:]) for path in (self.run_dir / folder).iterdir())


@pytest.fixture
def bench(tmp_path, one_number):
    return Bench(tmp_path, one_number)


def damage(folder) -> None:
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def test_without_a_checkpoint_a_run_begins(bench):
    assert bench.load() == (State(), [])


def test_a_state_comes_back_whole(bench):
    measurement = Measurement(
        progress=START,
        metrics={"loss": 1.5, "pearson": float("nan")},
        intervals={"loss": (1.0, 2.0)},
        examples=9,
        seconds=0.25,
    )
    verdict = Verdict(decision="unknown", rule="target", reason="because")
    state = replace(bench.at(4, 0).measured(measurement), verdict=verdict)
    bench.save(state)
    bench.at(9, 9)
    found, problems = bench.load()
    assert problems == []
    assert float(bench.model.weight.detach()) == 4.0
    assert (found.progress, found.verdict, found.best_step) == (state.progress, verdict, 0)
    assert repr(found.history) == repr(state.history)  # NaN is not equal to itself


def test_only_the_newest_are_kept(bench):
    for step in (1, 2, 3, 4):
        bench.save(bench.at(step, None), keep=3)
    assert bench.kept("checkpoints") == [2, 3, 4]


def test_a_damaged_one_is_passed_over_and_later_replaced(bench):
    for step in (1, 2):
        bench.save(bench.at(step, None))
    newest = bench.run_dir / "checkpoints" / "step-00000002"
    damage(newest)
    state, problems = bench.load()
    assert state.progress.step == 1
    assert float(bench.model.weight.detach()) == 1.0
    assert len(problems) == 1
    assert "step-00000002" in problems[0]
    bench.save(bench.at(2, None))
    assert verify(newest) == []
    assert bench.load()[0].progress.step == 2


def test_if_all_are_damaged_nothing_begins_again(bench):
    for step in (1, 2):
        bench.save(bench.at(step, None))
        damage(bench.run_dir / "checkpoints" / f"step-{step:08d}")
    with pytest.raises(UserError, match="every checkpoint of this run is damaged") as error:
        bench.load()
    assert "--fresh" in error.value.hint


def test_best_weights_of_which_a_checkpoint_speaks_stay(bench):
    bench.best(1)
    bench.save(bench.at(1, 1))
    for step in (2, 3, 4):  # measured more often than saved
        bench.best(step)
    assert bench.kept("best") == [1, 2, 3, 4]
    bench.save(bench.at(5, 4))
    assert bench.kept("best") == [1, 4]
    damage(bench.run_dir / "checkpoints" / "step-00000005")
    state = bench.load()[0]
    assert state.best_step == 1
    restore_best(bench.checkpointer, 1)
    assert float(bench.model.weight.detach()) == 1.0


def test_damaged_best_weights_are_not_taken_for_good_ones(bench):
    bench.best(3)
    damage(bench.run_dir / "best" / "step-00000003")
    with pytest.raises(UserError, match="those of step 3, are damaged"):
        restore_best(bench.checkpointer, 3)


def test_the_best_of_the_same_step_is_replaced(bench):
    bench.best(3)
    bench.best(3)
    assert bench.kept("best") == [3]

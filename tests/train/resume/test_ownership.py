"""Directories of a run and of its base model: taken from the last run, given back from the first."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tunesmith.checkpoint.lock import owner_of
from tunesmith.errors import Exit, UserError
from tunesmith.prepare.base_model import PlannedRun, base_models_first
from tunesmith.prepare.check.changes import ResumePolicy
from tunesmith.recipe.load import load_recipe
from tunesmith.train.resume.ownership import own_in_turn, refuse_unmade
from tunesmith.world.signals import Leaving, StopFlag


@pytest.fixture
def planned(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text('{"text": "a"}\n')
    for name, source in {"run": "base.yaml", "base": "some/model"}.items():
        Path(f"{name}.yaml").write_text(
            f"task: causal-lm\nmodel: {{source: {source}}}\ndata: {{train: {{source: rows.jsonl}}}}\n"
            "optimizer: {learning_rate: 0.1}\nbatch: {size: 1}\n"
            f"stop: [{{budget: {{steps: 1}}}}]\nrun: {{dir: {name}, threads: 1}}\n"
        )
    return base_models_first(PlannedRun(load_recipe(path := Path("run.yaml")), tmp_path, file=path))


def taken(planned, stack):
    return list(own_in_turn(planned, ResumePolicy(accept_changes=True), StopFlag(), stack))


def owned() -> list[str]:
    return [name for name in ("run", "base") if Path(name).exists() and owner_of(Path(name)) is not None]


def test_a_run_is_held_while_its_base_model_is_made(planned, capsys, tmp_path) -> None:
    with ExitStack() as stack:
        run, base = taken(planned, stack)
        assert capsys.readouterr().out == f"first, the base model: {tmp_path}/base.yaml\n"
        assert (run.terms.accept_changes, base.terms.accept_changes) == (True, False)
        assert owned() == ["run", "base"]
        base.release()
        assert owned() == ["run"]
    assert owned() == []


def test_a_run_that_is_refused_makes_no_base_model(planned) -> None:
    Path("run").mkdir()
    Path("run", "letter.txt").write_text("not ours")
    with ExitStack() as stack, pytest.raises(UserError, match=r"letter\.txt"):
        taken(planned, stack)
    assert not Path("base").exists()


@pytest.mark.parametrize(("finished", "left"), [("base", ["run"]), ("run", [])])
def test_what_is_finished_needs_nothing(planned, finished, left) -> None:
    Path(finished).mkdir()
    Path(finished, "result.json").write_text('{"status": "completed", "stop": {"reason": "done"}}')
    with ExitStack() as stack:
        assert [str(one.run_dir) for one in taken(planned, stack)] == left


def test_a_base_model_that_fails_is_told_in_both_directories(planned) -> None:
    def fail() -> None:
        with ExitStack() as stack:
            taken(planned, stack)
            raise UserError("no such rows")

    with pytest.raises(UserError, match="no such rows"):
        fail()
    for name in ("run", "base"):
        assert "no such rows" in Path(name, "result.json").read_text()


@pytest.mark.parametrize(("status", "raises"), [(Exit.PREEMPTED, Leaving), (Exit.USER, UserError)])
def test_without_its_base_model_a_run_does_not_go_on(planned, status, raises) -> None:
    refuse_unmade(planned[0], Exit.FINISHED)
    with pytest.raises(raises):
        refuse_unmade(planned[0], status)

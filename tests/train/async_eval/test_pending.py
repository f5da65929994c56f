"""Evaluation beside training: another process scores, and the same weights are chosen."""

import os
import re
import shutil
import signal
import time
from contextlib import suppress

import pytest

from tunesmith.errors import UserError
from tunesmith.train.async_eval.mailbox import FOLDER
from tunesmith.train.async_eval.scorer import (
    PRECISION,
    ScorerHeartbeat,
    SubprocessScorer,
    single_process_environment,
)

SETTINGS = [
    "stop=[{target: {exact_match: 0.3}}, {plateau: {metric: loss, patience: 4, sure: 0.9}}, "
    "{budget: {steps: 60}}]",
    "eval.every=10 steps",
    "data.train.arguments.count=300",
    "model.new.attention_dropout=0.1",
    "data.test={holdout: 20}",
]
ASYNC, FOLLOWER = "eval.mode=async", "eval.mode=follower"
FOLLOW = """\
import sys, pathlib
from tunesmith.train.follower import follow_run
sys.exit(follow_run(pathlib.Path({!r})))
"""
STEPS = 60


@pytest.fixture(scope="session")
def inline(launcher, tmp_path_factory):
    """The same run, evaluated by itself."""
    run_dir = tmp_path_factory.mktemp("inline") / "run"
    launcher.run("causal-lm", *SETTINGS, f"run.dir={run_dir}")
    return run_dir


@pytest.fixture
def follow(launcher, tmp_path):
    """Start whoever scores a run."""

    def start(run_dir, **env):
        script = tmp_path / "follow.py"
        script.write_text(FOLLOW.format(str(run_dir)))
        return launcher.start(script, **env)

    return start


@pytest.fixture
def chosen_alike(read):
    """Insist that two runs measured, decided and chose the same; one may have trained on for a while."""

    def check(run_dir, control):
        for folder in (run_dir, control):
            assert read.json(folder / "result.json")["status"] in ("stopped", "completed")
        ours, theirs = (
            [
                (one["step"], one["metrics"], one["intervals"], one["examples"], one.get("paired"))
                for one in read.journal(folder, "eval")
            ]
            for folder in (run_dir, control)
        )
        assert ours == theirs
        ours, theirs = (
            [one["verdict"] for one in read.journal(folder, "eval")] for folder in (run_dir, control)
        )
        assert ours == theirs
        results = [read.json(folder / "result.json") for folder in (run_dir, control)]
        for key in ("status", "best", "final", "baseline", "test"):
            assert results[0][key] == results[1][key], key
        for key in ("rule", "reason", "step"):
            assert results[0]["stop"][key] == results[1]["stop"][key], key
        assert read.weights(run_dir) == read.weights(control)
        for name in ("scores.jsonl", "baseline_scores.jsonl", "samples.json"):
            assert (run_dir / name).read_bytes() == (control / name).read_bytes(), name
        ours, theirs = read.losses(run_dir), read.losses(control)
        assert {step: ours[step] for step in theirs} == theirs
        assert not (run_dir / FOLDER).exists()

    return check


def test_the_control_stops_by_its_target(read, inline):
    """Else the tests below would show little."""
    result = read.json(inline / "result.json")
    assert result["stop"]["rule"] == "target"
    assert 0 < result["stop"]["step"] < STEPS


@pytest.mark.slow
def test_beside_training_the_same_is_chosen_though_late(launcher, read, inline, chosen_alike, tmp_path):
    """Training went on for some steps while the target was reached, and they are left out."""
    run_dir = tmp_path / "run"
    launched = launcher.start(
        "causal-lm",
        *SETTINGS,
        ASYNC,
        "eval.ahead=9",
        f"run.dir={run_dir}",
        TUNESMITH_FAULT="score do=sleep:3",
    )
    assert launched.wait() == 0, launched.err
    assert launched.err == ""
    chosen_alike(run_dir, inline)
    assert all(one["beside"] for one in read.journal(run_dir, "eval"))
    assert read.json(run_dir / "result.json")["test"]["baseline"]
    stop = read.json(run_dir / "result.json")["stop"]
    assert stop["steps_beyond"] == len(read.losses(run_dir)) - stop["step"] > 0
    assert f"{stop['steps_beyond']} steps" in read.json(run_dir / "result.json")["explanation"]


@pytest.mark.slow
def test_two_processes_train_and_a_third_scores(launcher, read, tmp_path):
    """Two that share an evaluation may round otherwise than one, so its scores are compared closely."""
    settings = [*SETTINGS[1:], "stop=[{budget: {steps: 20}}]"]
    for mode in ("inline", "async"):
        launcher.run("causal-lm", *settings, f"eval.mode={mode}", f"run.dir={tmp_path / mode}", processes=2)
    ours, theirs = (read.journal(tmp_path / mode, "eval") for mode in ("async", "inline"))
    assert [one["step"] for one in ours] == [one["step"] for one in theirs] == [0, 10, 20]
    for one, other in zip(ours, theirs, strict=True):
        assert one["metrics"] == pytest.approx(other["metrics"], rel=1e-5)
    assert read.weights(tmp_path / "async") == read.weights(tmp_path / "inline")


@pytest.mark.slow
def test_a_follower_scores_and_ends_with_the_run(launcher, read, inline, chosen_alike, follow, tmp_path):
    run_dir = tmp_path / "run"
    follower = follow(run_dir)
    read.until(lambda: "waiting for" in follower.out, "the follower to wait")
    launched = launcher.run("causal-lm", *SETTINGS, FOLLOWER, f"run.dir={run_dir}")
    assert follower.wait() == 0, follower.err
    assert launched.err == follower.err == ""
    scored = re.findall(r"step (\d+): scored", follower.out)
    assert scored[: len(read.journal(run_dir, "eval"))] == [
        str(one["step"]) for one in read.journal(run_dir, "eval")
    ]
    chosen_alike(run_dir, inline)


@pytest.mark.slow
def test_a_follower_may_come_late_and_be_killed(launcher, read, inline, chosen_alike, follow, tmp_path):
    run_dir = tmp_path / "run"
    launched = launcher.start("causal-lm", *SETTINGS, FOLLOWER, f"run.dir={run_dir}")
    read.until(lambda: f"waiting for `tunesmith follow {run_dir}`" in launched.out, "the run to wait")
    first = follow(run_dir, TUNESMITH_FAULT="score at=2 do=SIGKILL")
    assert first.wait() == -signal.SIGKILL
    second = follow(run_dir)
    assert launched.wait() == 0, launched.err
    assert second.wait() == 0, second.err
    chosen_alike(run_dir, inline)


@pytest.mark.slow
@pytest.mark.parametrize("point", ["forward at=13", "save-publish at=2", "update at=25", "exit"])
@pytest.mark.matrix(sample=2)
def test_killed_while_something_is_scored(launcher, read, inline, chosen_alike, follow, tmp_path, point):
    """Whoever trains is killed; what was handed over and not judged is judged after it goes on."""
    run_dir = tmp_path / "run"
    settings = ["causal-lm", *SETTINGS, FOLLOWER, f"run.dir={run_dir}"]
    follower = follow(run_dir, TUNESMITH_FAULT="score at=* do=sleep:0.5")
    launched = launcher.start(*settings, TUNESMITH_FAULT=f"{point} do=SIGKILL")
    assert launched.wait() == -signal.SIGKILL
    launcher.run(*settings)
    chosen_alike(run_dir, inline)
    assert follower.wait() == 0, follower.err


@pytest.mark.slow
def test_killed_with_its_scorer(launcher, read, inline, chosen_alike, tmp_path):
    """The scorer notices that it is alone, and the next one waits for it to leave."""
    run_dir = tmp_path / "run"
    settings = ["causal-lm", *SETTINGS, ASYNC, f"run.dir={run_dir}"]
    launched = launcher.start(*settings, TUNESMITH_FAULT="update at=25 do=SIGKILL; score at=2 do=sleep:1")
    assert launched.wait() == -signal.SIGKILL
    launcher.run(*settings)
    chosen_alike(run_dir, inline)


@pytest.mark.slow
def test_asked_to_leave_while_it_waits(launcher, read, inline, chosen_alike, follow, tmp_path):
    run_dir = tmp_path / "run"
    settings = ["causal-lm", *SETTINGS, FOLLOWER, f"run.dir={run_dir}"]
    launched = launcher.start(*settings)
    read.until(lambda: "waiting for `tunesmith follow" in launched.out, "the run to wait")
    launched.signal(signal.SIGTERM)
    assert launched.wait() == 75, launched.err
    assert len(list((run_dir / FOLDER).glob("step-*"))) == 3, "two are under way, and the one that is due"
    follower = follow(run_dir)
    launcher.run(*settings)
    assert follower.wait() == 0, follower.err
    chosen_alike(run_dir, inline)


@pytest.mark.slow
def test_nobody_follows(launcher, read, inline, chosen_alike, follow, tmp_path):
    run_dir = tmp_path / "run"
    settings = ["causal-lm", *SETTINGS, FOLLOWER, f"run.dir={run_dir}"]
    launched = launcher.run(*settings, "run.deadline=3s", status=2)
    assert "nobody has scored anything for 3 s (`run.deadline`)" in launched.err
    assert f"start `tunesmith follow {run_dir}`" in launched.err
    follower = follow(run_dir)
    launcher.run(*settings)
    assert follower.wait() == 0, follower.err
    chosen_alike(run_dir, inline)


@pytest.mark.slow
def test_a_scorer_that_dies_is_started_again(launcher, read, inline, chosen_alike, tmp_path):
    run_dir = tmp_path / "run"
    settings = ["causal-lm", *SETTINGS, ASYNC, f"run.dir={run_dir}"]
    launched = launcher.start(*settings, TUNESMITH_FAULT="score at=4 do=SIGKILL")
    assert launched.wait() == 0, launched.err
    again = "the process that evaluates beside training ended with status -9; it is started again"
    assert launched.out.count(again) == (len(read.journal(run_dir, "eval")) - 1) // 3 > 0
    chosen_alike(run_dir, inline)


def child_of(tmp_path, command, deadline=60.0):
    signs = ScorerHeartbeat(tmp_path / "scorer.json", deadline)
    return SubprocessScorer(
        ["sh", "-c", command], {"PATH": os.environ["PATH"]}, tmp_path / "scorer.log", signs
    )


def checked(child):
    while True:
        child.check()
        time.sleep(0.01)


def test_a_scorer_that_dies_again_and_again_is_given_up(tmp_path, capsys):
    child = child_of(tmp_path, "echo no such metric; exit 3")
    child.start()
    with pytest.raises(UserError, match="ended with status 3, 3 times in a row") as told:
        checked(child)
    assert capsys.readouterr().out.count("it is started again") == 2
    assert str(told.value).count("no such metric") == 3


def test_one_that_scored_is_started_as_often_again(tmp_path):
    child = child_of(tmp_path, "exit 3")
    child.start()
    child.starts = 2
    child.scored()
    with pytest.raises(UserError, match="3 times in a row"):
        checked(child)


def test_a_scorer_that_hangs_is_killed(tmp_path, capsys):
    """It writes signs of life at first, and then none; another one is started each time."""
    command = (
        f"for i in 1 2 3; do echo '{{\"beats\": '$i'}}' > {tmp_path}/scorer.json; sleep 0.1; done; sleep 60"
    )
    child = child_of(tmp_path, command, deadline=0.5)
    child.start()
    first = child.process
    with pytest.raises(UserError, match="hung for"):
        checked(child)
    assert first.returncode == child.process.returncode == -signal.SIGKILL
    assert capsys.readouterr().out.count("hung for") == 2


def test_the_scorer_ends_with_the_run(tmp_path):
    child = child_of(tmp_path, "exec sleep 60")
    child.start()
    child.end()
    assert child.process.returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    ("environ", "processes", "devices", "expected"),
    [
        ({"RANK": "1", "WORLD_SIZE": "2", "MASTER_PORT": "1", "A": "b"}, 2, 0, {"A": "b"}),
        ({"ACCELERATE_MIXED_PRECISION": "bf16", "ACCELERATE_USE_FSDP": "1"}, 1, 0, {PRECISION: "bf16"}),
        ({}, 3, 4, {"CUDA_VISIBLE_DEVICES": "3"}),
        ({}, 4, 4, {"CUDA_VISIBLE_DEVICES": "0"}),
        ({"CUDA_VISIBLE_DEVICES": "4,6"}, 1, 2, {"CUDA_VISIBLE_DEVICES": "6"}),
    ],
)
def test_it_is_no_part_of_the_launch(environ, processes, devices, expected):
    """It has a device of its own, if there is one that nobody has."""
    assert single_process_environment(environ, processes, devices) == expected


@pytest.mark.slow
def test_what_is_not_finished_is_not_kept(launcher, read, tmp_path):
    """Looks that are judged go with the next checkpoint, so that only a few lie about."""
    run_dir = tmp_path / "run"
    settings = [*SETTINGS[1:], "stop=[{budget: {steps: 40}}]", "eval.every=4", ASYNC, f"run.dir={run_dir}"]
    launched = launcher.start("causal-lm", *settings)
    most = 0
    while not launched.ended():
        with suppress(FileNotFoundError):
            most = max(most, len(list((run_dir / FOLDER).glob("step-????????"))))
        time.sleep(0.01)
    assert launched.wait() == 0, launched.err
    assert 1 < most <= 6


def test_a_run_that_evaluates_by_itself_is_not_followed(follow, inline):
    follower = follow(inline)
    assert follower.wait() == 0
    assert "has ended" in follower.out


@pytest.mark.slow
def test_bad_input_of_a_follower(launcher, read, follow, tmp_path):
    run_dir = tmp_path / "run"
    settings = ["causal-lm", *SETTINGS, f"run.dir={run_dir}"]
    launched = launcher.start(*settings, TUNESMITH_FAULT="forward at=5 do=SIGKILL")
    assert launched.wait() == -signal.SIGKILL
    done = launcher.command("follow", str(run_dir), status=2)
    assert "this run evaluates by itself, so there is nothing to follow" in done.err
    assert "Traceback" not in done.err


@pytest.mark.slow
def test_one_follower_at_a_time_and_with_the_same_rows(launcher, read, follow, tmp_path):
    run_dir, recipes = tmp_path / "run", tmp_path / "recipes"
    shutil.copytree(launcher.recipe("causal-lm").parent, recipes)
    launched = launcher.start(recipes / "causal-lm.yaml", *SETTINGS, FOLLOWER, f"run.dir={run_dir}")
    read.until(lambda: "waiting for `tunesmith follow" in launched.out, "the run to wait")
    mark = tmp_path / "mark"
    first = follow(run_dir, TUNESMITH_FAULT=f"score do=sleep:60 mark={mark}")
    read.until(mark.exists, "the first follower to score")
    second = follow(run_dir)
    assert second.wait() == 1
    assert "in use by process" in second.err
    first.signal(signal.SIGKILL)
    first.wait()
    rows = recipes / "rows.py"
    rows.write_text(rows.read_text().replace("moo", "muh"))
    third = follow(run_dir)
    assert third.wait() == 1
    assert "the rows are not those that the run has" in third.err
    launched.signal(signal.SIGTERM)
    assert launched.wait() == 75

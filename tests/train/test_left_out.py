"""For every part of the saved state: a checkpoint that lacks it is noticed by the test of exact continuation.

Each part is taken out of a checkpoint, the run goes on from there, and must come out different from the one
that went on from the whole checkpoint. A part that could be left out unnoticed would be saved in vain, or,
worse, the test of exact continuation would be blind.
"""

import json
import random
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from tunesmith.checkpoint.manifest import checkpoints, read_manifest, write_manifest
from tunesmith.train.resume.state import State, to_plain_state

pytestmark = pytest.mark.slow

LANGUAGE = [
    "causal-lm",
    "stop=[{plateau: {metric: loss, patience: 3, sure: 0.95}}, {budget: {steps: 24}}]",
    "data.train.arguments.count=300",
    "model.new.attention_dropout=0.1",
    "eval.every=6",
    "eval.metrics=[]",
    "safety.spike=skip",
    "safety.threshold=1000",
    "run.average={ema: 0.9, soup: 3}",
    "run.keep=9",
]
IMAGES = [
    "image-classification",
    "stop=[{budget: {steps: 24}}]",
    "data.train.arguments.count=200",
    "eval.every=6",
    "run.keep=9",
]
BESIDE = [
    *(each for each in LANGUAGE if "average" not in each),
    "eval.mode=async",
    "eval.ahead=9",
    "eval.baseline=false",
]
AT = 12
CLOCKED = ("seconds", "device_seconds", "memory_bytes")


def state_part(*path, value):
    """Leave out an entry of ``state.json``: it gets the value that a fresh run has."""

    def leave_out(folder):
        state = json.loads((folder / "state.json").read_text())
        place = state
        for name in path[:-1]:
            place = place[name]
        assert place[path[-1]] != value, f"{path} holds nothing to be left out"
        place[path[-1]] = value
        (folder / "state.json").write_text(json.dumps(state))

    return leave_out


def tensors_part(kind, name_has=""):
    """Leave out tensors: they get the values that fresh ones have, zeros."""

    def leave_out(folder):
        path = folder / f"{kind}.safetensors"
        tensors = load_file(path)
        mine = [name for name in tensors if name_has in name]
        assert mine
        save_file({n: torch.zeros_like(t) if n in mine else t for n, t in tensors.items()}, path)

    return leave_out


def random_part(kind):
    """Leave out random numbers: they go on from another seed."""

    def leave_out(folder):
        if kind == "torch":
            path = folder / "random-0.safetensors"
            save_file({"torch": torch.Generator().manual_seed(99).get_state()}, path)
            return
        path = folder / "random-0.json"
        state = json.loads(path.read_text())
        if kind == "python":
            state["python"] = random.Random(99).getstate()
        else:
            state["numpy"][1][0] ^= 1
        path.write_text(json.dumps(state))

    return leave_out


FRESH = json.loads(json.dumps(to_plain_state(State())))
PARTS = {
    "weights": (LANGUAGE, tensors_part("weights")),
    "moments: first": (LANGUAGE, tensors_part("optimizer", "exp_avg/")),
    "moments: second": (LANGUAGE, tensors_part("optimizer", "exp_avg_sq/")),
    "moments: step": (LANGUAGE, tensors_part("optimizer", "step/")),
    "running mean of the weights": (LANGUAGE, tensors_part("mean")),
    "running statistics": (IMAGES, tensors_part("weights", "running_mean")),
    "random numbers: torch": (LANGUAGE, random_part("torch")),
    "random numbers: python": (LANGUAGE, random_part("python")),
    "random numbers: numpy": (LANGUAGE, random_part("numpy")),
    "state: progress.step": (LANGUAGE, state_part("progress", "step", value=AT - 1)),
    "state: progress.epoch": (LANGUAGE, state_part("progress", "epoch", value=0.0)),
    "state: progress.tokens": (LANGUAGE, state_part("progress", "tokens", value=0)),
    "state: progress.seconds": (LANGUAGE, state_part("progress", "seconds", value=0.0)),
    "state: progress.device_seconds": (LANGUAGE, state_part("progress", "device_seconds", value=0.0)),
    "state: history": (LANGUAGE, state_part("history", value=[])),
    "state: best_step": (LANGUAGE, state_part("best_step", value=None)),
    "state: verdict": (LANGUAGE, state_part("verdict", value=FRESH["verdict"])),
    "state: kept": (LANGUAGE, state_part("kept", value={})),
    "state: losses": (LANGUAGE, state_part("losses", value=[0.0, 0])),
    "state: soup": (LANGUAGE, state_part("soup", value=[])),
    "state: awaited": (BESIDE, state_part("awaited", value=[])),
    "state: trouble": (LANGUAGE, state_part("trouble", value=FRESH["trouble"])),
    "state: unmeasured": (LANGUAGE, state_part("unmeasured", value=False)),
    "state: micro": (LANGUAGE, state_part("micro", value=None)),
    "state: look": ([*LANGUAGE, "eval.every=auto", "run.save_every=6"], state_part("look", value=None)),
    "state: loss_scale": ([*LANGUAGE, "model.dtype=float16"], state_part("loss_scale", value={})),
}
"""Every part: the run in which it matters, and how it is left out."""

ENOUGH = {"decision": "stop", "rule": "plateau", "reason": "enough"}
PREPARED = {
    "state: verdict": {"verdict": {"decision": "stop", "rule": "plateau", "reason": "enough"}},
    "state: best_step": {
        "verdict": {"decision": "stop", "rule": "plateau", "reason": "enough"},
        "best_step": 6,
    },
    "state: unmeasured": {"unmeasured": True},
    "state: progress.epoch": {"unmeasured": True},
    "state: micro": {"micro": 4},
    "state: look": {"look": AT + 3},  # whatever the clock says: looks are planned powers of two apart
    "state: losses": {"losses": [50.0, 4]},
    "state: trouble": {"trouble": {**FRESH["trouble"], "factor": 0.5, "returns": [6], "at": 20}},
}
"""What the checkpoint says before the part is left out, where a plain run's says nothing."""


@pytest.fixture(scope="module")
def interrupted(launcher, read, tmp_path_factory):
    """Run directories that end with the checkpoint of a step in the middle, one for each recipe."""
    made = {}

    def of(arguments):
        key = tuple(arguments)
        if key not in made:
            run_dir = tmp_path_factory.mktemp("interrupted") / "run"
            launcher.run(*arguments, f"run.dir={run_dir}")
            for name in ("checkpoints", "best"):
                for folder in checkpoints(run_dir / name):
                    if folder.name > f"step-{AT:08d}":
                        shutil.rmtree(folder)
            shutil.rmtree(run_dir / "model")
            (run_dir / "result.json").unlink()
            made[key] = run_dir
        return made[key]

    return of


@pytest.fixture(scope="module")
def whole(launcher, tmp_path_factory, interrupted):
    """What comes out when nothing is left out, one for each checkpoint to begin with."""
    made = {}

    def of(arguments, prepared):
        key = (*arguments, json.dumps(prepared))
        if key not in made:
            made[key] = go_on(launcher, interrupted, tmp_path_factory.mktemp("whole"), arguments, prepared)
        return made[key]

    return of


def go_on(launcher, interrupted, folder, arguments, prepared, leave_out=lambda folder: None):
    run_dir = folder / "run"
    shutil.copytree(interrupted(arguments), run_dir, symlinks=True)
    newest = checkpoints(run_dir / "checkpoints")[0]
    facts = {name: value for name, value in read_manifest(newest).items() if name != "files"}
    state = json.loads((newest / "state.json").read_text())
    (newest / "state.json").write_text(json.dumps({**state, **prepared}))
    leave_out(newest)
    write_manifest(newest, facts)
    launched = launcher.start(*arguments, f"run.dir={run_dir}")
    return run_dir, launched.wait(), launched


def outcome(read, run_dir, status):
    """Everything that two equal continuations have in common, to the last bit; times only in their order."""
    if status != 0:
        return {"status": status}
    newest = checkpoints(run_dir / "checkpoints")[0]
    train = read.journal(run_dir, "train")
    state = json.loads((newest / "state.json").read_text())
    spans = [state["progress"].pop(name) for name in ("seconds", "device_seconds")]
    for each in state["history"]:
        each.pop("seconds", None)
        each.get("progress", each).pop("seconds", None)
        each.get("progress", each).pop("device_seconds", None)
    clock = [record["seconds"] for record in train]
    result = read.json(run_dir / "result.json")
    return {
        "steps": [{k: v for k, v in r.items() if k not in CLOCKED} for r in train],
        "looks": [(r["step"], r["metrics"]) for r in read.journal(run_dir, "eval")],
        "clock": clock == sorted(clock),
        "spans": spans[1] == pytest.approx(spans[0], rel=0.01),
        "state": state,
        "files": {
            name: entry["sha256"]
            for name, entry in read_manifest(newest)["files"].items()
            if name != "state.json"
        },
        "model": read.weights(run_dir),
        "result": {name: result[name] for name in ("status", "stop", "best", "final")},
        "continuations": result["continuations"],
    }


@pytest.mark.parametrize("arguments", [LANGUAGE, IMAGES], ids=["language", "images"])
def test_nothing_left_out_is_the_run_that_was_never_interrupted(launcher, read, whole, arguments, tmp_path):
    run_dir, status, _ = whole(arguments, {})
    ours = outcome(read, run_dir, status)
    launcher.run(*arguments, f"run.dir={tmp_path}/control")
    theirs = outcome(read, tmp_path / "control", 0)
    assert [each["level"] for each in ours.pop("continuations")] == ["exact"]
    assert theirs.pop("continuations") == []
    assert ours == theirs


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.matrix(sample=8)
def test_a_part_that_is_left_out_is_noticed(launcher, read, interrupted, whole, tmp_path, name):
    arguments, leave_out = PARTS[name]
    prepared = PREPARED.get(name, {})
    control, status, launched = whole(arguments, prepared)
    assert status == 0, launched.err
    run_dir, status, launched = go_on(launcher, interrupted, tmp_path, arguments, prepared, leave_out)
    assert outcome(read, run_dir, status) != outcome(read, control, 0)


def test_the_table_names_everything_that_is_saved(interrupted):
    told = {name.partition(": ")[2].partition(".")[0] for name in PARTS if name.startswith("state: ")}
    assert told == set(FRESH) | {"loss_scale"}
    assert {name.partition(".")[2] for name in PARTS if "progress." in name} == set(FRESH["progress"]) - {
        "joules"
    }
    newest = checkpoints(interrupted(LANGUAGE) / "checkpoints")[0]
    kinds = {name.partition(".")[0] for name in read_manifest(newest)["files"]}
    assert kinds == {"weights", "optimizer", "mean", "random-0", "state"}

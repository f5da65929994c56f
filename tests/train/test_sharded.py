"""ZeRO 0 to 3 and FSDP2 learn the same thing, and evaluate, save, go on and export alike."""

import signal
import socket
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from launched import environment_of
from tunesmith.report.row_steps import rows_of_step

pytestmark = pytest.mark.slow

LAUNCHER = Path(__file__).parents[2] / "launcher"
STEPS = ["stop=[{budget: {steps: 20}}]", "data.train.arguments.count=300", "eval.every=10"]
CLOSE = 1e-5
ZERO1 = {"ACCELERATE_DEEPSPEED_ZERO_STAGE": "1"}
ENGINES = {
    "ddp": ("cpu_2proc", {}, 2, 0),
    "zero 1": ("cpu_zero2", ZERO1, 2, 1),
    "zero 2": ("cpu_zero2", {}, 2, 2),
    "zero 3": ("cpu_zero3", {}, 2, 3),
    "zero 3, one process": ("cpu_zero3", {}, 1, 3),
    "zero 2, one process": ("cpu_zero2", {}, 1, 2),
    "zero 3, offloaded": ("cpu_zero3_offload", {}, 2, 3),
    "fsdp2": ("cpu_fsdp2", {}, 2, 3),
}


def options(engine: str) -> dict:
    profile, extra, processes, _ = ENGINES[engine]
    env = environment_of(profile) | extra
    if processes == 1:
        env |= {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            env["MASTER_PORT"] = str(free.getsockname()[1])
    return {"processes": processes, "cwd": LAUNCHER.parent, **env}


def assert_alike(read, run_dir: Path, control: Path, stage: int) -> None:
    """The same losses and metrics, and weights that differ by rounding."""
    assert read.json(run_dir / "environment.json")["zero_stage"] == stage
    pairs = zip(read.journal(run_dir, "train"), read.journal(control, "train"), strict=True)
    for ours, theirs in pairs:
        assert ours["samples"] == theirs["samples"]
        if theirs["loss"] is None:  # no row was left
            assert (ours["loss"], ours["grad_norm"]) == (None, None)
            continue
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=CLOSE), ours["step"]
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-4), ours["step"]
    for ours, theirs in zip(read.journal(run_dir, "eval"), read.journal(control, "eval"), strict=True):
        assert ours["metrics"] == pytest.approx(theirs["metrics"], rel=1e-4, abs=CLOSE)
        assert ours["examples"] == theirs["examples"]
    weights, expected = (load_file(d / "model" / "model.safetensors") for d in (run_dir, control))
    assert weights.keys() == expected.keys()
    for name, value in weights.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-4, msg=name)


@pytest.fixture(scope="module")
def full(launcher, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("full") / "run"
    launcher.run("causal-lm", *STEPS, "batch.micro=4", f"run.dir={run_dir}")
    return run_dir


@pytest.fixture(scope="module")
def lora(launcher, lora_recipe, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("lora") / "run"
    launcher.run(lora_recipe, *STEPS, "batch.micro=4", f"run.dir={run_dir}")
    return run_dir


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.matrix(sample=3)
def test_everything_tuned_with_accumulation(launcher, read, full, tmp_path, engine):
    run_dir = tmp_path / "run"
    launcher.run("causal-lm", *STEPS, "batch.micro=4", f"run.dir={run_dir}", **options(engine))
    assert_alike(read, run_dir, full, ENGINES[engine][3])


@pytest.mark.parametrize("engine", ["zero 1", "zero 2", "zero 3", "fsdp2"])
@pytest.mark.matrix(sample=1)
def test_adapters_tuned_with_accumulation(launcher, read, lora, lora_recipe, tmp_path, engine):
    run_dir = tmp_path / "run"
    launcher.run(lora_recipe, *STEPS, "batch.micro=4", f"run.dir={run_dir}", **options(engine))
    assert_alike(read, run_dir, lora, ENGINES[engine][3])


@pytest.mark.parametrize("engine", ["zero 3", "fsdp2"])
@pytest.mark.matrix(sample=1)
def test_the_exported_weights_are_those_that_were_gathered(launcher, read, tmp_path, engine):
    run_dir = tmp_path / "run"
    launcher.run("causal-lm", *STEPS, f"run.dir={run_dir}", **options(engine))
    best = read.json(run_dir / "result.json")["best"]["step"]
    shards = sorted((run_dir / "best" / f"step-{best:08d}").glob("weights*.safetensors"))
    assert len(shards) == 2, "each process writes its share"
    gathered = {name: value for path in shards for name, value in load_file(path).items()}
    exported = load_file(run_dir / "model" / "model.safetensors")
    assert exported.keys() <= gathered.keys()
    for name, value in exported.items():
        assert torch.equal(value, gathered[name]), name


@pytest.mark.parametrize("engine", ["zero 2", "zero 3", "fsdp2"])
@pytest.mark.parametrize("task", ["sequence-classification", "image-classification"])
@pytest.mark.matrix(sample=2, each="task")
def test_other_tasks(launcher, read, tmp_path, engine, task):
    quiet = ["model.new.hidden_dropout_prob=0.0", "model.new.attention_probs_dropout_prob=0.0"]
    settings = [*STEPS[::2], *(quiet if task == "sequence-classification" else [])]
    one, run_dir = tmp_path / "one", tmp_path / "run"
    launcher.run(task, *settings, f"run.dir={one}", processes=2)
    launcher.run(task, *settings, f"run.dir={run_dir}", **options(engine))
    assert_alike(read, run_dir, one, ENGINES[engine][3])


@pytest.mark.parametrize("engine", ["zero 1", "zero 2", "zero 3", "fsdp2"])
@pytest.mark.matrix(sample=1)
def test_killed_it_goes_on_bit_for_bit(launcher, read, tmp_path, engine):
    settings = [*STEPS, "eval.every=5", "batch.micro=4", "model.new.attention_dropout=0.1"]
    control, run_dir = tmp_path / "control", tmp_path / "run"
    launcher.run("causal-lm", *settings, f"run.dir={control}", **options(engine))
    launched = launcher.start("causal-lm", *settings, f"run.dir={run_dir}", **options(engine))
    journal = run_dir / "metrics.jsonl"
    read.until(lambda: journal.exists() and journal.read_text().count('"train"') >= 12, "step 12")
    launched.signal(signal.SIGKILL)
    launched.wait()
    launcher.run("causal-lm", *settings, f"run.dir={run_dir}", **options(engine))
    assert read.losses(run_dir) == read.losses(control)
    assert read.weights(run_dir) == read.weights(control)
    assert len(read.json(run_dir / "result.json")["resumed_from"]) == 1


@pytest.mark.parametrize("engine", ["zero 3", "fsdp2"])
@pytest.mark.matrix(sample=1)
def test_asked_while_evaluating_all_leave_at_one_pass(launcher, read, tmp_path, engine):
    """Each pass gathers weights from all processes, so none may leave before the others do."""
    settings = ["stop=[{budget: {steps: 4}}]", "eval.every=2", "data.train.arguments.count=120"]
    control, run_dir, mark = tmp_path / "control", tmp_path / "run", tmp_path / "mark"
    launcher.run("causal-lm", *settings, f"run.dir={control}", **options(engine))
    orders = f"evaluate rank=1 at=2 do=sleep:1 mark={mark}"
    asked = launcher.start(
        "causal-lm", *settings, f"run.dir={run_dir}", **options(engine), TUNESMITH_FAULT=orders
    )
    read.until(lambda: mark.exists() or asked.ended(), "the second evaluation")
    asked.processes[1].signal(signal.SIGTERM)
    assert asked.wait() == 75, asked.err
    assert [record["step"] for record in read.journal(run_dir, "eval")] == [0]
    launcher.run("causal-lm", *settings, f"run.dir={run_dir}", **options(engine))
    assert read.losses(run_dir) == read.losses(control)
    assert [r["metrics"] for r in read.journal(run_dir, "eval")] == [
        r["metrics"] for r in read.journal(control, "eval")
    ]


@pytest.mark.parametrize(("first", "then"), [("zero 3", None), ("zero 2", "zero 3"), (None, "fsdp2")])
@pytest.mark.matrix(sample=1)
def test_a_checkpoint_of_one_way_goes_on_in_another(launcher, read, full, tmp_path, first, then):
    settings, run_dir = [*STEPS, "batch.micro=4"], tmp_path / "run"
    started = options(first) if first else {}
    launched = launcher.start("causal-lm", *settings, f"run.dir={run_dir}", **started)
    journal = run_dir / "metrics.jsonl"
    read.until(lambda: journal.exists() and journal.read_text().count('"train"') >= 11, "step 11")
    launched.signal(signal.SIGKILL)
    launched.wait()
    launcher.run("causal-lm", *settings, f"run.dir={run_dir}", **(options(then) if then else {}))
    assert_alike(read, run_dir, full, ENGINES[then][3] if then else 0)


def test_adafactor_and_shards_do_not_go_together(launcher, tmp_path):
    done = launcher.run(
        "causal-lm", "optimizer.name=adafactor", f"run.dir={tmp_path}/run", status=2, **options("zero 2")
    )
    assert "adafactor needs whole matrices" in done.err


def test_deepspeed_without_sharding_is_refused(launcher, tmp_path):
    stage = {**options("zero 2"), "ACCELERATE_DEEPSPEED_ZERO_STAGE": "0"}
    done = launcher.run("causal-lm", f"run.dir={tmp_path}/run", status=2, **stage)
    assert "zero_stage" in done.err
    assert "data parallel" in done.err


@pytest.mark.parametrize("kind", ["full", "adapters"])
@pytest.mark.parametrize("engine", ["alone", "ddp", "zero 2", "zero 3", "fsdp2"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.matrix(sample=5, each="engine")
def test_number_types(launcher, read, full, lora, lora_recipe, tmp_path, dtype, engine, kind):
    """What learns stays float32; arithmetic in half as many bits ends near where float32 does."""
    run_dir, how = tmp_path / "run", options(engine) if engine != "alone" else {}
    recipe, control = ("causal-lm", full) if kind == "full" else (lora_recipe, lora)
    launcher.run(recipe, *STEPS, "batch.micro=4", f"model.dtype={dtype}", f"run.dir={run_dir}", **how)
    ours, theirs = (read.journal(folder, "train")[-1]["loss"] for folder in (run_dir, control))
    assert ours == pytest.approx(theirs, rel=0.05)
    checkpoint = sorted((run_dir / "checkpoints").iterdir())[-1]
    stored = {v.dtype for path in checkpoint.glob("weights*.safetensors") for v in load_file(path).values()}
    assert stored == {torch.float32}
    assert read.json(run_dir / "environment.json")["precision"] == dtype


@pytest.mark.parametrize("engine", ["zero 2", "zero 3", "fsdp2"])
@pytest.mark.matrix(sample=1)
def test_averages_and_growing_subsets(launcher, read, tmp_path, engine):
    """Whole tensors by name make a soup anywhere; a running mean needs whole weights on every device."""
    stage = ENGINES[engine][3]
    mean = "" if stage == 3 else "ema: 0.9, "
    settings = ["eval.subset=auto", "data.eval.holdout=80", f"run.average={{{mean}soup: 2}}"]
    run_dir = tmp_path / "run"
    launcher.run("causal-lm", *STEPS, *settings, f"run.dir={run_dir}", **options(engine))
    result = read.json(run_dir / "result.json")
    names = ["soup of 2"] if stage == 3 else ["ema", "soup of 2"]
    assert [one["name"] for one in result["average"]["tried"]] == names
    assert all(one["against_best"]["error"] > 0 for one in result["average"]["tried"])
    assert result["best"]["examples"] == 80


@pytest.mark.parametrize("engine", ["zero 3, one process"])
def test_a_running_mean_of_shards_is_refused(launcher, tmp_path, engine):
    refused = launcher.run(
        "causal-lm",
        *STEPS,
        "run.average={ema: 0.9}",
        f"run.dir={tmp_path}/run",
        status=2,
        **options(engine),
    )
    assert "needs them whole on every device" in refused.err
    assert "soup" in refused.err


@pytest.fixture(scope="module")
def thinned(launcher, full, tmp_path_factory):
    """Rows that are left out, of a step all but one and of another all, and the run without them."""
    ids = [*rows_of_step(full, 3).learnt[1:], *rows_of_step(full, 5).learnt]
    setting = f"data.exclude=[{', '.join(ids)}]"
    run_dir = tmp_path_factory.mktemp("thinned") / "run"
    launcher.run("causal-lm", *STEPS, setting, "batch.micro=4", f"run.dir={run_dir}")
    return setting, run_dir


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.matrix(sample=1)
def test_a_process_that_has_no_row_left_keeps_in_step(launcher, read, thinned, tmp_path, engine):
    setting, control = thinned
    run_dir = tmp_path / "run"
    arguments = [*STEPS, setting, "batch.micro=4", f"run.dir={run_dir}"]
    launcher.run("causal-lm", *arguments, **options(engine))
    assert_alike(read, run_dir, control, ENGINES[engine][3])
    assert [record["supervised_tokens"] for record in read.journal(run_dir, "train")][4] == 0

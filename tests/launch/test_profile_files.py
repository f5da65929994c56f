"""Every shipped profile, as Accelerate and DeepSpeed read it, and those for the processor as they start."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tunesmith.launch.profiles.profile import read_profile
from tunesmith.world.environment import read_world

ROOT = Path(__file__).parents[2]
PROFILES = sorted((ROOT / "launcher").glob("*.yaml"))
ACCELERATE = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch"]

SCRIPT = """
import json, os, pathlib, sys
rank = os.environ.get("RANK", "0")
pathlib.Path(sys.argv[1], f"{rank}.json").write_text(json.dumps(dict(os.environ)))
"""

pytestmark = pytest.mark.filterwarnings("ignore")


def each_profile(test):
    return pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)(test)


@each_profile
def test_accelerate_reads_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    monkeypatch.chdir(ROOT)
    config = load_config_from_file(str(path))  # refuses unknown keys
    arguments = launch_command_parser().parse_args(["--config_file", str(path), "script.py"])
    arguments, defaults, precision_from_file = _validate_launch_command(arguments)
    assert defaults is not None
    ours = read_profile(path)
    assert config.num_processes == arguments.num_processes == ours.processes
    assert arguments.num_machines == ours.machines
    assert arguments.mixed_precision == ours.precision
    assert arguments.multi_gpu == (ours.engine == "ddp")
    assert arguments.use_deepspeed == (ours.engine == "deepspeed")
    assert arguments.use_fsdp == (ours.engine == "fsdp2")
    if arguments.deepspeed_config_file:
        assert (ROOT / arguments.deepspeed_config_file).is_file()
        assert not precision_from_file  # which Accelerate refuses beside such a file
    if arguments.use_fsdp:
        assert arguments.fsdp_version == 2


@pytest.mark.parametrize(
    "path", [path for path in PROFILES if "DEEPSPEED" in path.read_text()], ids=lambda path: path.stem
)
def test_deepspeed_accepts_what_accelerate_makes_of_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils import DeepSpeedPlugin, prepare_deepspeed_cmd_env

    ours = read_profile(path)
    deepspeed_config = pytest.importorskip("deepspeed.runtime.config").DeepSpeedConfig
    monkeypatch.chdir(ROOT)
    words = ["--config_file", str(path), "--machine_rank", "1", "script.py"]
    arguments, defaults, from_file = _validate_launch_command(launch_command_parser().parse_args(words))
    fields = [*defaults.deepspeed_config, *(["mixed_precision"] if from_file else [])]
    arguments.deepspeed_fields_from_accelerate_config = ",".join(fields)
    _, environ = prepare_deepspeed_cmd_env(arguments)
    for name in environ.keys() - os.environ.keys():
        monkeypatch.setenv(name, environ[name])
    plugin = DeepSpeedPlugin()
    plugin.set_mixed_precision("no")  # as the run does: number types are not DeepSpeed's affair
    config = copy.deepcopy(plugin.deepspeed_config)
    assert config["gradient_accumulation_steps"] == 1
    assert plugin.zero3_init_flag is False
    config |= {"train_micro_batch_size_per_gpu": 1, "train_batch_size": 1, "gradient_clipping": 0.0}
    checked = deepspeed_config(config)
    zero = checked.zero_config
    assert int(zero.stage) == ours.zero_stage
    assert not checked.bfloat16_config.enabled
    assert not checked.float16_config.enabled
    offloads = [
        str(getattr(part.device, "value", part.device)) if part is not None else "none"
        for part in (zero.offload_optimizer, zero.offload_param)
    ]
    assert offloads == [ours.offload_optimizer, ours.offload_parameters]
    assert zero.zero_hpz_partition_size == (ours.partition_within or 1)
    if ours.offload_optimizer != "none":
        assert checked.zero_force_ds_cpu_optimizer is False


@each_profile
def test_it_says_when_to_choose_it(path: Path) -> None:
    head = [line for line in path.read_text().split("compute_environment")[0].splitlines() if line]
    assert all(line.startswith("#") for line in head)
    text = "\n".join(head)
    assert f"--config_file launcher/{path.name}" in text
    assert "recipes/" in text
    assert "Choose it" in text


def test_nothing_else_stands_in_the_folder() -> None:
    named = {
        Path(str(yaml.safe_load(path.read_text())["deepspeed_config"]["deepspeed_config_file"])).name
        for path in PROFILES
        if "deepspeed_config_file" in path.read_text()
    }
    assert named == {path.name for path in (ROOT / "launcher/deepspeed").iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "processes"),
    [
        ("cpu", 1),
        ("cpu_2proc", 2),
        ("cpu_zero2", 2),
        ("cpu_zero3", 2),
        ("cpu_zero3_offload", 2),
        ("cpu_fsdp2", 2),
    ],
)
@pytest.mark.matrix(sample=2)
def test_accelerate_alone_starts_it(name: str, processes: int, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    out = tmp_path / "out"
    out.mkdir()
    hidden = {"OMP_NUM_THREADS", "RANK", "CUDA_VISIBLE_DEVICES"}
    environ = {key: value for key, value in os.environ.items() if key not in hidden}
    command = [*ACCELERATE, "--config_file", f"launcher/{name}.yaml", str(script), str(out)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=200, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    said = {int(path.stem): json.loads(path.read_text()) for path in out.glob("*.json")}
    assert sorted(said) == list(range(processes))
    for rank, environment in said.items():
        assert set(environment["CUDA_VISIBLE_DEVICES"].split(",")) == {"-1"}
        assert environment["ACCELERATE_MIXED_PRECISION"] == "no"
        assert (environment.get("ACCELERATE_USE_DEEPSPEED") == "true") == ("zero" in name)
        assert (environment.get("ACCELERATE_USE_FSDP") == "true") == ("fsdp" in name)
        if processes > 1:
            world = read_world(environment)
            assert (world.rank, world.local_rank) == (rank, rank)
            assert (world.world_size, world.local_world_size) == (processes, processes)
            assert world.launcher == "accelerate"
            # What world/threads.py rests on: a value that nobody asked for is 1.
            assert environment["OMP_NUM_THREADS"] == "1"
        else:
            assert environment["ACCELERATE_USE_CPU"] == "True"

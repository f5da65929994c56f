"""The launch command, word by word, and Accelerate's own parser on it."""

from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.launch.command import Meeting, launch_arguments, resized
from tunesmith.launch.profiles.profile import profile_names, read_profile

OVERRIDES = ["optimizer.learning_rate=1e-4", "stop=[{budget: {steps: 4}}]"]


def parsed(words: list[str]):
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    assert words[1:4] == ["-P", "-m", "accelerate.commands.launch"]
    return _validate_launch_command(launch_command_parser().parse_args(words[4:]))


@pytest.mark.parametrize("name", [name for name in profile_names() if not name.startswith("nodes")])
def test_accelerate_understands_the_command_wherever_one_stands(name, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    profile = read_profile(name)
    words = launch_arguments(profile, Path("r.yaml"), OVERRIDES)
    arguments, _, _ = parsed(words)
    assert arguments.num_processes == profile.processes
    assert arguments.mixed_precision == profile.precision
    assert (arguments.training_script, arguments.training_script_args) == ("r.yaml", OVERRIDES)
    if profile.deepspeed_file is not None:
        assert Path(arguments.deepspeed_config_file).is_absolute()
        assert Path(arguments.deepspeed_config_file).is_file()


def test_a_module_for_a_recipe_that_is_no_program() -> None:
    words = launch_arguments(read_profile("cpu"), Path("r.yaml"), OVERRIDES, as_module=True)
    arguments, _, _ = parsed(words)
    assert arguments.module
    assert arguments.training_script == "tunesmith"
    assert arguments.training_script_args == ["r.yaml", *OVERRIDES]


def test_several_machines_each_with_its_own_command() -> None:
    profile = read_profile("nodes_hpz")
    meeting = Meeting(machine_rank=1, address="10.0.0.1", port=29511)
    arguments, _, _ = parsed(launch_arguments(profile, Path("r.yaml"), meeting=meeting))
    assert (arguments.machine_rank, arguments.main_process_ip) == (1, "10.0.0.1")
    assert (arguments.main_process_port, arguments.num_machines) == (29511, 2)
    assert arguments.mixed_precision == "bf16"
    assert arguments.deepspeed_multinode_launcher == "standard"


def test_several_machines_over_ssh() -> None:
    profile = resized(read_profile("nodes_zero3"), 4, 2)
    meeting = Meeting(address="one", port=1234)
    words = launch_arguments(profile, Path("r.yaml"), meeting=meeting, hostfile=Path("/h"))
    arguments, _, _ = parsed(words)
    assert (arguments.deepspeed_multinode_launcher, arguments.deepspeed_hostfile) == ("pdsh", "/h")
    assert (arguments.num_processes, arguments.num_machines) == (4, 2)


def test_several_machines_need_to_know_each_other() -> None:
    with pytest.raises(UserError) as told:
        launch_arguments(read_profile("nodes_zero3"), Path("r.yaml"))
    for word in ("tunesmith submit", "--hostfile", "--machine_rank N", "--main_process_ip ADDRESS"):
        assert word in told.value.hint


@pytest.mark.parametrize(
    ("name", "processes", "machines", "found"),
    [
        ("node", None, None, (8, 1)),
        ("node", 4, None, (4, 1)),
        ("nodes_zero3", None, 4, (32, 4)),
        ("nodes_zero3", 8, 4, (8, 4)),
        ("nodes_hpz", None, 3, (24, 3)),
    ],
)
def test_other_counts(name, processes, machines, found) -> None:
    profile = resized(read_profile(name), processes, machines)
    assert (profile.processes, profile.machines) == found


@pytest.mark.parametrize(
    ("name", "processes", "machines", "word"),
    [
        ("nodes_zero3", 9, 2, "evenly"),
        ("cpu", 2, 1, "for one process, not 2"),
        ("nodes_hpz", 8, 2, "every 8 processes, and there are 4 on each machine"),
        ("node", 0, 1, "evenly"),
    ],
)
def test_counts_that_contradict_the_profile(name, processes, machines, word) -> None:
    with pytest.raises(UserError, match=word):
        resized(read_profile(name), processes, machines)

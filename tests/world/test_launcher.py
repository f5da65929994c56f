"""A launcher is looked for among the processes: variables that announce one may be left over."""

import os
import subprocess
import sys

import pytest

from tunesmith.world.environment import read_world
from tunesmith.world.launcher import announced, is_launcher, launched_by, process_of


@pytest.mark.parametrize(
    ("words", "is_one"),
    [
        (["/x/python", "/x/bin/accelerate", "launch", "r.yaml"], True),
        (["/x/python", "-m", "accelerate.commands.launch", "r.yaml"], True),
        (["/x/python", "/x/bin/torchrun", "r.yaml"], True),
        (["/x/python", "-u", "-m", "torch.distributed.run", "r.yaml"], True),
        (["/x/python", "-u", "-m", "deepspeed.launcher.launch", "--world"], True),
        (["bash", "start.sh"], False),
        (["tail", "-f", "a", "b", "accelerate"], False),
        (["/x/python", "/x/bin/tunesmith", "run", "accelerate.yaml"], False),
        ([], False),
    ],
)
def test_a_command_line_tells(words, is_one):
    assert is_launcher(words) == is_one


@pytest.mark.parametrize(
    "name",
    ["ACCELERATE_LOG_LEVEL", "ACCELERATE_MIXED_PRECISION", "ACCELERATE_USE_CPU", "TORCHELASTIC_RUN_ID"],
)
def test_a_variable_that_was_left_over_makes_no_launcher(name):
    code = (
        "import os\nfrom tunesmith.world.launcher import announced, launched_by\n"
        "print(launched_by(os.getpid(), *announced(os.environ)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, name: "1"}, capture_output=True, text=True
    )
    assert done.stdout == "None\n", done.stderr


def test_a_log_level_is_no_word_of_a_launcher():
    assert read_world({"ACCELERATE_LOG_LEVEL": "info"}).launcher == "python"
    assert announced({"ACCELERATE_LOG_LEVEL": "info"}) == ()
    assert announced({"ACCELERATE_USE_CPU": "True"}) == ("accelerate",)


def test_a_launcher_is_found_through_a_script_between(tmp_path):
    """As where `accelerate launch` starts a shell script that starts the run."""
    launcher = tmp_path / "torchrun"
    launcher.write_text(
        "import subprocess, sys\n"
        "code = 'import os; from tunesmith.world.launcher import launched_by; '\n"
        "code += 'print(launched_by(os.getpid(), \"torchrun\").pid)'\n"
        "print(__import__('os').getpid(), flush=True)\n"
        "subprocess.run(['sh', '-c', f'{sys.executable} -c \"$0\"; true', code])\n"
    )
    done = subprocess.run([sys.executable, str(launcher)], capture_output=True, text=True, check=True)
    mine, found = done.stdout.split()
    assert mine == found, done.stderr


def test_a_process_is_told_from_one_with_its_number():
    me = process_of(os.getpid())
    assert me.is_there()
    assert not type(me)(me.pid, me.start + 1).is_there()
    assert launched_by(os.getpid()) is None

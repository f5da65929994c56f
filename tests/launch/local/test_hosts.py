"""Plain hosts over a real ssh: what is asked of them before a launch, and a launch on two of them."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.launch.local.hosts import Host, passed_environment, reach, read_hostfile

ROOT = Path(__file__).parents[3]
_SPEC = importlib.util.spec_from_file_location("sshd", Path(__file__).parents[1] / "sshd.py")
sshd = importlib.util.module_from_spec(_SPEC)
sys.modules["sshd"] = sshd
_SPEC.loader.exec_module(sshd)

needs_sshd = pytest.mark.skipif(
    sshd.missing() is not None, reason=f"no sshd here: {sshd.missing()} is missing"
)
RECIPE = ["recipes/smoke/causal-lm.yaml", "data.train.arguments.count=200", "data.eval.holdout=16"]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    with sshd.two_hosts(tmp_path_factory.mktemp("ssh")) as found:
        yield found


@pytest.fixture
def here(hosts, monkeypatch):
    monkeypatch.setenv("PATH", hosts.environ["PATH"])
    return hosts


def test_a_hostfile(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("# mine\nnode1 slots=8\n\nuser@10.0.0.2  slots=8  # the new one\n")
    assert read_hostfile(path) == [Host("node1", 8), Host("user@10.0.0.2", 8)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a slots=2\nb\n", ["hosts:2", "NAME slots="]),
        ("a slots=0\nb slots=0\n", ["hosts:1", "NAME slots="]),
        ("a slots=1\nb slots=1\na slots=1\n", ["hosts:3", "twice"]),
        ("a slots=1\nb slots=2\n", ["a 1, b 2", "same number"]),
        ("a slots=1\n", ["one host"]),
        ("", ["no host"]),
        ("-oProxyCommand=x slots=1\nb slots=1\n", ["hosts:1", "names no host"]),
    ],
)
def test_a_hostfile_that_is_wrong(text: str, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text(text)
    with pytest.raises(UserError) as told:
        read_hostfile(path)
    for word in words:
        assert word in str(told.value)


def test_a_hostfile_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the hostfile"):
        read_hostfile(tmp_path / "none")


def test_no_secret_is_passed_on() -> None:
    environ = {"PATH": "/bin", "HF_TOKEN": "x", "HF_HOME": "/h", "NCCL_DEBUG": "INFO", "AWS_SECRET_KEY": "x"}
    environ |= {"TUNESMITH_X": "a;rm b", "TUNESMITH_Y": "$(a)", "OTHER": "1", "TORCH_API_KEY": "x"}
    assert passed_environment(environ) == {"PATH": "/bin", "HF_HOME": "/h", "NCCL_DEBUG": "INFO"}


@needs_sshd
def test_two_hosts_that_have_everything(here, tmp_path: Path) -> None:
    meeting = reach([Host("one", 1), Host("two", 1)], tmp_path)
    assert meeting.address == "127.0.0.1"
    assert 0 < (meeting.port or 0) < 65536


@needs_sshd
@pytest.mark.parametrize(
    ("names", "python", "folder", "words"),
    [
        (["one", "silent"], sys.executable, ".", ["`silent` cannot be reached", "without a password"]),
        (["one", "two"], "/no/python", ".", ["`one` has no `/no/python`", "1 more"]),
        (["one", "two"], sys.executable, "gone", ["does not see", "share"]),
        (["one", "two"], "/bin/false", ".", ["lacks tunesmith or DeepSpeed"]),
        (["one", "two"], sys.executable, "a b$c", ["shell", "letters"]),
    ],
)
def test_hosts_that_lack_something(names, python, folder, words, here, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(UserError) as told:
        reach([Host(name, 1) for name in names], tmp_path / folder, python)
    assert time.monotonic() - started < 30
    for word in words:
        assert word in str(told.value)


def run(hosts, *arguments: object, **options):
    program = [sys.executable, "-c", "from tunesmith.cli.main import run; run()", "run"]
    return subprocess.Popen(
        [*program, *map(str, arguments)],
        cwd=ROOT,
        env=hosts.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


@needs_sshd
@pytest.mark.slow
def test_a_run_on_two_hosts(hosts, tmp_path: Path) -> None:
    folder, odd = tmp_path / "run", "run.variants={}"
    hostfile = hosts.hostfile("one slots=1", "two slots=1")
    # Blanks and braces reach the other hosts whole.
    budget = ["stop=[{budget: {steps: 4}}]", "eval.every=4 steps", odd, f"run.dir={folder}"]
    process = run(hosts, *RECIPE, *budget, "--on", "cpu_zero3", "--hostfile", hostfile)
    said, _ = process.communicate(timeout=280)
    assert process.returncode == 0, said
    assert "one: evaluation at step 4" in said
    assert json.loads((folder / "result.json").read_text())["status"] == "completed"
    assert json.loads((folder / "environment.json").read_text())["world_size"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert not Path(ROOT, ".deepspeed_env").exists()


@needs_sshd
@pytest.mark.long
def test_a_run_on_two_hosts_is_preempted(hosts, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    hostfile = hosts.hostfile("one slots=1", "two slots=1")
    endless = ["stop=[{budget: {steps: 100000}}]", "eval.every=100000", f"run.dir={folder}"]
    process = run(hosts, *RECIPE, *endless, "--on", "cpu_zero2", "--hostfile", hostfile)
    journal, deadline = folder / "metrics.jsonl", time.monotonic() + 200
    while not (journal.exists() and '"train"' in journal.read_text()):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGTERM)
    said, _ = process.communicate(timeout=90)
    assert process.returncode == 75, said
    assert json.loads((folder / "result.json").read_text())["status"] == "preempted"
    assert "Traceback" not in said


@needs_sshd
def test_a_host_that_cannot_be_reached_is_told_in_seconds(hosts, tmp_path: Path) -> None:
    hostfile = hosts.hostfile("one slots=1", "silent slots=1")
    started = time.monotonic()
    process = run(hosts, *RECIPE, f"run.dir={tmp_path}/run", "--on", "cpu_zero2", "--hostfile", hostfile)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert time.monotonic() - started < 30
    assert "`silent` cannot be reached" in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_a_profile_that_is_none_of_deepspeeds(tmp_path: Path) -> None:
    hostfile = tmp_path / "hosts"
    hostfile.write_text("one slots=1\ntwo slots=1\n")
    program = [sys.executable, "-c", "from tunesmith.cli.main import run; run()", "run"]
    command = [*program, *RECIPE, "--on", "cpu_2proc", "--hostfile", str(hostfile)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "`cpu_2proc` is none of DeepSpeed's" in done.stderr

"""The list of runs: one odd folder neither ends it nor hides others, nor commands the terminal."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.launch import runs
from tunesmith.launch.runs import find_runs, log_of, runs_table, states_of

spec = importlib.util.spec_from_file_location("written", Path(__file__).parents[1] / "report" / "conftest.py")
written = importlib.util.module_from_spec(spec)
spec.loader.exec_module(written)

RECORD = {"kind": "eval", "step": 3, "metrics": {"loss": 1.5}}
ODD = {
    "two values": ("result.json", '{"a": 1}\n{"a": 2}\n'),
    "a list": ("result.json", "[1, 2]"),
    "deep": ("result.json", "[" * 100_000),
    "not UTF-8": ("result.json", b"\xff\xfe"),
    "a long number": ("result.json", "1" * 5000),
    "no JSON": ("metrics.jsonl", "no json\n"),
    "a step in words": ("metrics.jsonl", '{"step": "x"}\n'),
    "a step beyond": ("metrics.jsonl", '{"step": 1%s}\n' % ("0" * 400)),
    "a value in words": ("metrics.jsonl", json.dumps({**RECORD, "metrics": {"a": "x", "b": [1]}}) + "\n"),
    "values as a list": ("metrics.jsonl", json.dumps({**RECORD, "metrics": [1]}) + "\n"),
    "a huge value": ("metrics.jsonl", '{"kind": "eval", "step": 1, "metrics": {"a": 1%s}}\n' % ("0" * 400)),
    "a job of another": ("slurm/job.json", '{"job": {"a": 1}}'),
    "starts of another": ("slurm/starts.jsonl", '{"a": 1}\nno\n'),
    "a start without a job": ("slurm/starts.jsonl", '{"a": 1}\n'),
    "a lock": ("owner.lock", "[" * 5000),
}


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch) -> None:
    monkeypatch.setattr(runs, "my_jobs", lambda jobs=None: list(jobs) and [])


def shown(root: Path) -> str:
    states, _ = states_of(find_runs([root]))
    text = runs_table(states)
    line = next(line for line in text.splitlines() if "good" in line)
    assert line.split()[1:5] == ["stopped", "120", "loss", "0.3507"], text
    return text


@pytest.fixture
def root(tmp_path) -> Path:
    written.write_run(tmp_path / "runs" / "good")
    (tmp_path / "runs" / "odd" / "slurm").mkdir(parents=True)
    return tmp_path / "runs"


@pytest.mark.parametrize(("name", "content"), ODD.values(), ids=ODD)
def test_files_of_another_program(root, name: str, content: str | bytes) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    (root / "odd" / name).write_bytes(data)
    assert "runs/odd" in shown(root)


@pytest.mark.parametrize(
    "name", ["result.json", "metrics.jsonl", "owner.lock", "slurm/job.json", "slurm/starts.jsonl"]
)
def test_pipes_links_and_sockets(root, name: str) -> None:
    path = root / "odd" / name
    os.mkfifo(path)
    assert "runs/odd" in shown(root)
    path.unlink()
    path.symlink_to("/dev/zero")
    assert "runs/odd" in shown(root)
    path.unlink()
    path.mkdir()
    assert "runs/odd" in shown(root)


def test_a_socket_and_a_hole(root) -> None:
    os.chdir(root / "odd")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("result.json")
    with (root / "odd" / "metrics.jsonl").open("wb") as file:
        file.truncate(3 << 30)
    assert "unreadable (no plain file: a socket)" in shown(root)


def test_links_to_folders_are_not_followed(root) -> None:
    (root / "loop").symlink_to(root)
    (root / "all").symlink_to("/")
    assert {path.name for path in find_runs([root])} == {"good", "odd"}


def test_names_cannot_command_the_terminal(root) -> None:
    for name in ("\x1b]0;x\x07", "two\nlines", "\u202edlog", "\udcff"):
        (root / name).mkdir()
        (root / name / "metrics.jsonl").write_text(
            '{"kind": "eval", "step": 1, "metrics": {"\\u001b[2J": 1}}\n'
        )
    text = shown(root)
    assert len(text.splitlines()) == 7
    assert not set("\x1b\x07\u202e\udcff") & set(text)
    text.encode()


def test_somebodys_private_run(root) -> None:
    """Listed as what it is; for root in a process that has given up its privileges."""
    (root / "odd" / "metrics.jsonl").write_text("")
    ask = [sys.executable, "-m", "tunesmith", "status", str(root)]
    if os.geteuid() == 0:
        for path in (root / "odd", root / "odd" / "metrics.jsonl"):
            os.chown(path, 12345, 12345)
        ask = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner", *ask]
    (root / "odd").chmod(0o700 if os.geteuid() == 0 else 0)
    done = subprocess.run(ask, capture_output=True, text=True, timeout=60)
    (root / "odd").chmod(0o700)
    assert done.returncode == 0, done.stderr
    assert "runs/good" in done.stdout
    assert "runs/odd   unreadable (Permission denied)" in done.stdout


def test_a_log_that_is_a_pipe_is_none(root) -> None:
    os.mkfifo(root / "odd" / "slurm" / "1.out")
    (root / "odd" / "slurm" / "2.out").symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="no job is known"):
        log_of(root / "odd")

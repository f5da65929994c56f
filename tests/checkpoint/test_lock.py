"""Ownership between real processes that live, stop, fork and die."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tunesmith.checkpoint.lock import LOCK_FILE, own, owner_of
from tunesmith.errors import UserError

OWNS = """
import os, sys, time
from pathlib import Path
from tunesmith.checkpoint.lock import own
with own(Path(sys.argv[1]), {"job": "4711"}):
    print("owned", flush=True)
    if sys.argv[2:] == ["fork"]:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        print(child, flush=True)
    time.sleep(60)
"""


def owner(run_dir: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", OWNS, str(run_dir), *arguments]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "owned\n"
    return child


def kill(child: subprocess.Popen[str]) -> None:
    child.send_signal(signal.SIGKILL)
    child.wait()


def test_a_second_owner_is_told_who_the_first_is(tmp_path) -> None:
    first = owner(tmp_path / "run")
    try:
        with pytest.raises(UserError) as mistake, own(tmp_path / "run"):
            pass
        assert f"process {first.pid} on {socket.gethostname()}, started 20" in mistake.value.what
        assert "job 4711" in mistake.value.what
        assert "run.dir" in mistake.value.hint
        assert owner_of(tmp_path / "run")["pid"] == first.pid
    finally:
        kill(first)


def test_death_releases_it(tmp_path) -> None:
    kill(owner(tmp_path / "run"))
    assert owner_of(tmp_path / "run") is None
    with own(tmp_path / "run") as ownership:
        ownership.check()
        assert owner_of(tmp_path / "run")["pid"] == os.getpid()


def test_a_stopped_owner_is_still_the_owner(tmp_path) -> None:
    first = owner(tmp_path / "run")
    try:
        first.send_signal(signal.SIGSTOP)
        with pytest.raises(UserError, match="in use"), own(tmp_path / "run"):
            pass
    finally:
        kill(first)


def test_a_forked_worker_does_not_outlive_its_parent_as_owner(tmp_path) -> None:
    first = owner(tmp_path / "run", "fork")
    worker = int(first.stdout.readline())
    kill(first)
    try:
        os.kill(worker, 0)  # it lives
        deadline = time.monotonic() + 20
        while owner_of(tmp_path / "run") is not None:  # it lets go when it first runs
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with own(tmp_path / "run"):
            pass
    finally:
        os.kill(worker, signal.SIGKILL)


def test_the_end_of_the_block_releases_it_and_an_error_too(tmp_path) -> None:
    with own(tmp_path):
        pass
    with pytest.raises(RuntimeError, match="broke"), own(tmp_path):
        raise RuntimeError("broke")
    with own(tmp_path):
        pass
    assert owner_of(tmp_path) is None


def test_one_process_cannot_own_a_folder_twice(tmp_path) -> None:
    with own(tmp_path), pytest.raises(UserError, match=f"process {os.getpid()} "), own(tmp_path):
        pass


def test_the_file_says_who_and_is_private(tmp_path) -> None:
    before = os.umask(0)
    try:
        with own(tmp_path / "run"):
            content = json.loads((tmp_path / "run" / LOCK_FILE).read_text())
    finally:
        os.umask(before)
    assert content.keys() == {"host", "pid", "start"}
    assert stat.S_IMODE((tmp_path / "run" / LOCK_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', "\x00\x00"])
def test_an_owner_that_cannot_be_read_is_still_an_owner(tmp_path, content) -> None:
    with own(tmp_path):
        (tmp_path / LOCK_FILE).write_text(content)
        with pytest.raises(UserError, match="in use by another process"), own(tmp_path):
            pass


def test_a_takeover_is_noticed_before_anything_is_published(tmp_path) -> None:
    with own(tmp_path) as ownership:
        ownership.check()
        (tmp_path / LOCK_FILE).unlink()
        with pytest.raises(UserError, match="taken over"):
            ownership.check()
        with own(tmp_path) as second:
            second.check()
            with pytest.raises(UserError, match="taken over"):
                ownership.check()


def test_nobody_owns_what_was_never_owned(tmp_path) -> None:
    assert owner_of(tmp_path) is None
    assert owner_of(tmp_path / "missing") is None


RACES = """
import sys, time
from pathlib import Path
from tunesmith.checkpoint.lock import own
from tunesmith.errors import UserError
while time.time() < float(sys.argv[2]): pass
try:
    with own(Path(sys.argv[1])):
        print("owned", flush=True)
        sys.stdin.read()
except UserError:
    print("refused", flush=True)
"""


def test_of_many_at_once_one_gets_it(tmp_path) -> None:
    start = str(time.time() + 1.0)
    command = [sys.executable, "-c", RACES, str(tmp_path / "run"), start]
    pipe = subprocess.PIPE
    children = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(5)]
    said = sorted(child.stdout.readline().strip() for child in children)  # the owner holds on meanwhile
    for child in children:
        child.communicate(timeout=60)
    assert said == ["owned"] + ["refused"] * 4


def test_who_starts_while_somebody_looks_waits_for_that_instant(tmp_path):
    """``owner_of`` and a status take the lock for a moment; that is no owner."""
    (tmp_path / LOCK_FILE).touch()
    looks = os.open(tmp_path / LOCK_FILE, os.O_RDONLY)
    fcntl.flock(looks, fcntl.LOCK_SH)
    threading.Timer(0.3, os.close, [looks]).start()
    with own(tmp_path):
        assert owner_of(tmp_path) is not None

from __future__ import annotations

import json
import math
import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.checkpoint.journal import append_line, append_record, read_journal, truncate_after
from tunesmith.errors import UserError


def journal(path: Path, *steps: int) -> Path:
    for step in steps:
        append_record(path, {"kind": "train", "step": step, "loss": step / 3})
    return path


def steps(path: Path) -> list[int]:
    return [record["step"] for record in read_journal(path)]


def test_records_come_back(tmp_path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert read_journal(path) == []
    append_record(path, {"kind": "train", "step": 1, "loss": 0.1, "text": "zwei\nZeilen"}, durable=True)
    append_record(path, {"kind": "eval", "metrics": {"loss": math.nan, "f1": math.inf}})
    assert read_journal(path) == [
        {"kind": "train", "step": 1, "loss": 0.1, "text": "zwei\nZeilen"},
        {"kind": "eval", "metrics": {"loss": None, "f1": None}},
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "torn", [b'{"step": 3', b'{"step": 3}', b"\x00" * 50, b"\xff\xfe", b'{"text": "\xc3']
)
def test_a_torn_last_line_is_left_out_and_cut_off_by_the_next(tmp_path, torn) -> None:
    path = journal(tmp_path / "metrics.jsonl", 1, 2)
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert steps(path) == [1, 2]
    append_record(path, {"step": 3})
    assert steps(path) == [1, 2, 3]
    assert path.read_bytes() == whole + b'{"step": 3}\n'


def test_a_long_torn_line_and_a_file_of_nothing_else(tmp_path) -> None:
    path = tmp_path / "metrics.jsonl"
    for whole in (b"", b'{"step": 1}\n'):
        for length in (1, 4095, 4096, 4097, 20_000):
            path.write_bytes(whole + b"x" * length)
            append_line(path, "{}")
            assert path.read_bytes() == whole + b"{}\n"


@pytest.mark.parametrize("broken", ['{"step": 2', "[1, 2]", "3", "", "\x00\x00", "[" * 100_000])
def test_a_broken_line_in_the_middle_is_named(tmp_path, broken) -> None:
    path = journal(tmp_path / "metrics.jsonl", 1)
    with path.open("a") as file:
        file.write(broken + "\n")
    journal(path, 3)
    for read in (read_journal, lambda path: truncate_after(path, 5)):
        with pytest.raises(UserError) as mistake:
            read(path)
        assert mistake.value.where == f"{path}:2"


def test_truncate_after_a_step_keeps_the_bytes_of_the_rest(tmp_path) -> None:
    path = tmp_path / "metrics.jsonl"
    append_line(path, '{"step":  1, "loss": 0.30000000000000004}')
    append_record(path, {"kind": "note", "text": "no step"})
    whole = path.read_bytes()
    journal(path, 2, 3)
    with path.open("ab") as file:
        file.write(b'{"step": 4')
    assert truncate_after(path, 1) == 2
    assert path.read_bytes() == whole
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_truncate_after_changes_nothing_that_it_need_not(tmp_path) -> None:
    path = journal(tmp_path / "metrics.jsonl", 1, 2)
    before = path.stat()
    assert truncate_after(path, 2) == 0
    assert truncate_after(tmp_path / "missing.jsonl", 2) == 0
    after = path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert os.listdir(tmp_path) == ["metrics.jsonl"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 9), max_size=8), st.integers(-1, 10), st.integers(0, 200))
def test_whatever_byte_a_crash_stops_at_the_journal_goes_on(tmp_path, numbers, step, cut) -> None:
    path = tmp_path / "metrics.jsonl"
    path.unlink(missing_ok=True)
    journal(path, *numbers)
    if path.exists():
        path.write_bytes(path.read_bytes()[:cut])
    left = steps(path)
    assert left == numbers[: len(left)]
    assert truncate_after(path, step) == sum(number > step for number in left)
    journal(path, 7)
    assert steps(path) == [number for number in left if number <= step] + [7]


def test_a_full_disk_takes_back_the_part_of_a_line(full_disk) -> None:
    path = full_disk / "metrics.jsonl"
    line = json.dumps({"text": "x" * 1000})
    with pytest.raises(UserError, match="no space is left"):
        _ = [append_line(path, line) for _ in range(200)]
    assert len(read_journal(path)) > 40
    assert path.read_bytes().endswith(b"}\n")


SHORT = """
import resource, sys
from pathlib import Path
from tunesmith.checkpoint.journal import append_line
from tunesmith.errors import UserError
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
append_line(Path(sys.argv[1]), '{"text": "%s"}' % ("x" * 1000))
try:
    append_line(Path(sys.argv[1]), '{"text": "%s"}' % ("y" * 1000))
except UserError as mistake:
    print(mistake.what)
"""


def test_a_write_that_stops_half_way_is_taken_back(tmp_path, python) -> None:
    """A limit on the size of files makes a write short, as a full disk does, and needs no root."""
    path = tmp_path / "metrics.jsonl"
    done = python(SHORT, path)
    assert done.stdout.startswith("cannot write"), done.stderr
    assert [record["text"][0] for record in read_journal(path)] == ["x"]
    assert path.read_bytes().endswith(b"}\n")


FLOOD = """
import sys
from pathlib import Path
from tunesmith.checkpoint.journal import append_record, read_journal
path = Path(sys.argv[1])
step = len(read_journal(path))
print("go", flush=True)
while True:
    append_record(path, {"step": step, "text": "x" * (step % 7) * 1000})
    step += 1
"""


def test_a_killed_writer_leaves_whole_lines_and_the_next_goes_on(tmp_path) -> None:
    path, generator, lengths = tmp_path / "metrics.jsonl", random.Random(0), []
    for _ in range(5):
        child = subprocess.Popen([sys.executable, "-c", FLOOD, str(path)], stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(0.02 + generator.random() * 0.05)
        child.send_signal(signal.SIGKILL)
        child.wait()
        lengths.append(len(read_journal(path)))
        assert steps(path) == list(range(lengths[-1]))
    assert lengths == sorted(set(lengths))

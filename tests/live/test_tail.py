"""New lines of a growing file: none twice, none lost, none half."""

import json
import os
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.checkpoint.journal import append_record, truncate_after
from tunesmith.checkpoint.plain_file import MIB
from tunesmith.live.tail import MOST_AT_ONCE, FilePosition, read_new


def line(step: int, kind: str = "train") -> bytes:
    return json.dumps({"kind": kind, "step": step}).encode() + b"\n"


def steps(news) -> list[int]:
    return [record["step"] for record in news.records]


@given(cuts=st.lists(st.integers(0, 400), max_size=12))
def test_however_the_bytes_arrive_each_line_comes_once(tmp_path_factory, cuts: list[int]) -> None:
    path, data = tmp_path_factory.mktemp("tail") / "metrics.jsonl", b"".join(map(line, range(12)))
    seen, place = [], FilePosition()
    for cut in [*sorted(cuts), len(data)]:
        path.write_bytes(data[:cut]) if not path.exists() else path.open("r+b").write(data[:cut])
        news = read_new(path, place)
        seen += steps(news)
        place = news.place
        assert not news.anew
    assert seen == list(range(12))


def test_a_file_that_is_not_there_yet(tmp_path) -> None:
    path = tmp_path / "metrics.jsonl"
    news = read_new(path, FilePosition())
    assert (steps(news), news.anew) == ([], False)
    path.write_bytes(line(1))
    assert steps(read_new(path, news.place)) == [1]


def test_a_run_that_goes_on_from_a_checkpoint_is_read_anew(tmp_path) -> None:
    path = tmp_path / "metrics.jsonl"
    for step in range(5):
        append_record(path, {"kind": "train", "step": step})
    before = read_new(path, FilePosition())
    assert truncate_after(path, 2) == 2
    append_record(path, {"kind": "train", "step": 3})
    after = read_new(path, before.place)
    assert after.anew
    assert steps(after) == [0, 1, 2, 3]


def test_a_file_that_is_shorter_is_read_anew(tmp_path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(line(1) + line(2))
    before = read_new(path, FilePosition())
    with path.open("r+b") as file:
        file.truncate(len(line(1)))
    assert read_new(path, before.place).anew


def test_data_that_has_not_arrived_is_waited_for(tmp_path) -> None:
    """A shared file system may show zero bytes where another machine's data is still under way."""
    path, whole = tmp_path / "metrics.jsonl", line(1) + line(2)
    path.write_bytes(line(1) + b"\0" * (len(line(2)) - 1) + b"\n")
    news = read_new(path, FilePosition())
    assert steps(news) == [1]
    with path.open("r+b") as file:
        file.write(whole)
    assert steps(read_new(path, news.place)) == [2]


def test_broken_lines_are_passed_over(tmp_path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(line(1) + b"{half\n[1]\n\n\0\0\n" + b'{"step": true}\n' + line(2))
    assert steps(read_new(path, FilePosition())) == [1, 2]


@pytest.mark.parametrize(("but", "expected"), [(2, [0, 3, 5, 6, 7]), (9, [0, 1, 2, 3, 4, 5, 6, 7])])
def test_all_but_the_last_training_lines_can_be_left_out(tmp_path, but: int, expected: list[int]) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b"".join(line(n, "eval" if n in (0, 3, 7) else "train") for n in range(8)))
    assert steps(read_new(path, FilePosition(), skip=b'{"kind": "train"', skip_but=but)) == expected


def test_what_was_read_in_parts_is_all_there(tmp_path) -> None:
    path, seen, place, more = tmp_path / "metrics.jsonl", [], FilePosition(), True
    path.write_bytes(b"".join(map(line, range(50))) + b"x" * 300 + b"\n" + line(50) + line(51)[:-3])
    while more:
        news = read_new(path, place, most=100)
        seen, place, more = seen + steps(news), news.place, news.more
        assert not news.anew
    assert seen == list(range(51))


def test_a_hole_of_gigabytes_passes_by(tmp_path) -> None:
    path, place, more = tmp_path / "metrics.jsonl", FilePosition(), True
    with path.open("wb") as file:
        file.truncate(300 * MIB)
        file.seek(0, 2)
        file.write(b"\n" + line(7))
    seen = []
    tracemalloc.start()
    while more:
        news = read_new(path, place)
        seen, place, more = seen + steps(news), news.place, news.more
    assert tracemalloc.get_traced_memory()[1] < 4 * MOST_AT_ONCE
    tracemalloc.stop()
    assert seen == [7]


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_is_no_plain_file_is_not_there(tmp_path, kind: str) -> None:
    path = tmp_path / "metrics.jsonl"
    (tmp_path / "outside").write_bytes(line(1))
    {"pipe": os.mkfifo, "folder": os.mkdir, "link": lambda p: p.symlink_to(tmp_path / "outside")}[kind](path)
    assert read_new(path, FilePosition()).records == ()

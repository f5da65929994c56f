"""Small files that unpack to more than there is room for end in a message."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tracemalloc

import pyarrow
import pyarrow.parquet
import pytest

from tunesmith.data.read import bounds, decode, gather
from tunesmith.data.read.bounds import room_for_rows, size_of
from tunesmith.data.read.formats import lines, tables
from tunesmith.data.read.rows import read_rows
from tunesmith.errors import UserError
from tunesmith.recipe.schema.data import Rows

ROOM = 1 << 20


@pytest.fixture
def small(monkeypatch):
    """A machine with room for 1 MiB of rows, and lines of at most half as much."""
    for module in (gather, decode, lines):
        monkeypatch.setattr(module, "room_for_rows", lambda: ROOM)
    monkeypatch.setattr(decode, "MOST_CELL", ROOM // 2)
    monkeypatch.setattr(decode.decoded_lines, "__defaults__", (ROOM // 2,))
    monkeypatch.setattr(tables, "MOST_CELL", ROOM // 2)


PACK = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda raw: pyarrow.compress(raw, codec="zstd", asbytes=True),
}
LINE = b'{"text": "' + b"x" * 20_000 + b'"}\n'
BOMBS = {
    "many.jsonl": LINE * 400,
    "long.jsonl": b'{"text": "' + b"x" * (8 << 20),
    "blank.jsonl": b"\n" * (1 << 15),
    "empty.jsonl": b"{}\n" * (1 << 14),
    "many.csv": b"text\n" + (b"x" * 20_000 + b"\n") * 400,
    "open.tsv": b"text\n" + b"x" * (8 << 20),
    "list.json": b"[" + b"0," * (1 << 20) + b"0]",
    "many.txt": (b"x" * 1000 + b"\n") * 8_000,
}


EVERY = [("many.jsonl", ending) for ending in PACK] + [(name, ".zst") for name in BOMBS]


@pytest.mark.parametrize(("name", "ending"), EVERY)
def test_archives(small, write, name, ending) -> None:
    path = write(name + ending, PACK[ending](BOMBS[name]))
    tracemalloc.start()
    with pytest.raises(UserError, match=r"room for|far more than its size|more than 0 MiB") as caught:
        read_rows(Rows(source=path))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 20 * ROOM  # xz has a dictionary of 8 MiB of its own
    assert caught.value.where.startswith(path)


@pytest.mark.parametrize("settings", [{"limit": 3}, {}])
def test_a_sample_of_an_archive_without_an_end_has_one(small, write, monkeypatch, settings) -> None:
    monkeypatch.setattr("tunesmith.data.read.unpack._SURELY_FINE", 1 << 19)
    path = write("a.jsonl.gz", gzip.compress(b"{}\n" * 5000) * 500)
    with pytest.raises(UserError, match=r"far more than its size|room for"):
        read_rows(Rows(source=path, **settings))
    many = write("c.jsonl.gz", gzip.compress(b"\n" * 100_000))
    with pytest.raises(UserError, match=r"it unpacks to 1,025 lines with 0\.0 MiB"):
        read_rows(Rows(source=many, **settings))
    fine = write("b.jsonl.gz", gzip.compress(b"".join(b'{"n": %d}\n' % n for n in range(100_000))))
    assert len(read_rows(Rows(source=fine, limit=3)).rows) == 3


def test_utf_16_is_bounded_as_a_whole(small, write) -> None:
    path = write("a.txt.gz", gzip.compress(("x\n" * (1 << 20)).encode("utf-16")))
    with pytest.raises(UserError, match="room for"):
        read_rows(Rows(source=path, encoding="utf-16"))


def test_a_cell_without_an_end_is_no_row(small, write) -> None:
    lines = b'text\n"' + (b"x" * 1000 + b"\n") * 1100
    raw = read_rows(Rows(source=write("a.csv.gz", gzip.compress(lines))))
    assert "limit" in raw.skips[0].detail


@pytest.mark.parametrize("shape", ["text", "list", "bytes", "struct"])
def test_parquet_that_repeats_a_long_value(small, tmp_path, shape) -> None:
    value = {"text": "x" * 20_000, "list": ["x" * 20_000], "bytes": b"x" * 20_000}
    value["struct"] = {"bytes": value["bytes"], "path": None}
    table = pyarrow.table({"text": [value[shape]] * 1000})
    pyarrow.parquet.write_table(table, tmp_path / "bomb.parquet", compression="zstd")
    assert (tmp_path / "bomb.parquet").stat().st_size < 200_000
    with pytest.raises(UserError, match="room for"):
        read_rows(Rows(source=f"{tmp_path}/bomb.parquet"))
    assert len(read_rows(Rows(source=f"{tmp_path}/bomb.parquet", first=3)).rows) == 3
    assert len(read_rows(Rows(source=f"{tmp_path}/bomb.parquet", limit=3)).rows) == 3


def test_memory_that_runs_out_while_reading_is_a_message(write, monkeypatch) -> None:
    def full(*_args, **_more):
        raise MemoryError

    monkeypatch.setattr("tunesmith.data.read.rows.read_jsonl", full)
    with pytest.raises(UserError, match="room for"):
        read_rows(Rows(source=write("a.jsonl", "{}\n")))


def test_room_is_half_of_what_the_machine_or_the_limit_grants(tmp_path, monkeypatch) -> None:
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 1000 kB\n")
    (tmp_path / "proc" / "self" / "statm").write_text("2 1 1\n")
    unlimited = (bounds.resource.RLIM_INFINITY,) * 2
    monkeypatch.setattr(bounds.resource, "getrlimit", lambda _which: unlimited)
    assert room_for_rows(tmp_path) == 512_000
    page = bounds.resource.getpagesize()
    monkeypatch.setattr(bounds.resource, "getrlimit", lambda _which: (6 * page, 6 * page))
    assert room_for_rows(tmp_path) == 2 * page


def test_sizes_are_near_enough() -> None:
    assert 1000 <= size_of("x" * 1000) < 1100
    assert size_of([[1] * 100] * 10) >= 10 * 100 * 8
    assert size_of({"a": {"b": b"x" * 5000}}) >= 5000

"""The cache gives what the task gave, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from tunesmith.data.encode import encode_rows, encoding_fingerprint
from tunesmith.data.row import Row, Skip


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


ROWS = [Row(f"d:{n}", {"text": "x" * n, "label": "l"}) for n in range(6)]


class Counting:
    def __init__(self, make=None) -> None:
        self.calls = 0
        self.make = make or (
            lambda row, n: {"id": row.id, "input_ids": list(range(n)), "length": n, "share": n / 3}
        )

    def __call__(self, row: Row):
        self.calls += 1
        n = len(row.fields["text"])
        return Skip(row.id, "empty", "no text") if n == 0 else self.make(row, n)


def same(one, other) -> bool:
    return list(one.skipped) == list(other.skipped) and all(
        a.keys() == b.keys()
        and all(np.array_equal(a[key], b[key]) and type(a[key]) is type(b[key]) for key in a)
        for a, b in zip(one.examples, other.examples, strict=True)
    )


KINDS = {
    "lists": None,
    "strings and absent values": lambda row, n: {"id": row.id, "more": ["a"] * n, "note": None, "cut": n > 2},
    "nested lists": lambda row, n: {"id": row.id, "spans": [[0, n]] * n},
    "arrays": lambda row, n: {"id": row.id, "input_ids": np.arange(n, dtype=np.int32), "length": n},
    "floats": lambda row, n: {"id": row.id, "weights": np.full(n, 0.1, dtype=np.float32), "target": 0.1},
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_time_nothing_is_encoded(kind) -> None:
    encode = Counting(KINDS[kind])
    first = encode_rows(ROWS, encode, fingerprint="f", cache=True)
    second = encode_rows(ROWS, encode, fingerprint="f", cache=True)
    assert encode.calls == len(ROWS)
    assert same(first, second)
    assert first.skipped == [Skip("d:0", "empty", "no text")]
    assert len(first.examples) == 5


UNCACHABLE = {
    "images": lambda row, n: {"id": row.id, "pixels": np.zeros((2, n))},
    "different keys": lambda row, n: {"id": row.id, f"k{n}": 1},
    "mixed types": lambda row, n: {"id": row.id, "x": n if n % 2 else "text"},
    "tuples": lambda row, n: {"id": row.id, "x": (1, n)},
    "objects": lambda row, n: {"id": row.id, "x": object()},
    "types that differ": lambda row, n: {"id": row.id, "x": np.zeros(2, np.int32 if n % 2 else np.int64)},
}


@pytest.mark.parametrize("kind", UNCACHABLE)
def test_what_would_come_back_changed_is_encoded_each_time(kind) -> None:
    encode = Counting(UNCACHABLE[kind])
    for times in (1, 2):
        found = encode_rows(ROWS, encode, fingerprint="f", cache=True)
        assert encode.calls == times * len(ROWS)
        assert len(found.examples) == 5


def test_no_cache_writes_nothing(cache) -> None:
    encode = Counting()
    encode_rows(ROWS, encode, fingerprint="f", cache=False)
    encode_rows(ROWS, encode, fingerprint="f", cache=False)
    assert encode.calls == 2 * len(ROWS)
    assert not cache.exists()


def test_everything_that_shapes_the_result_is_in_the_fingerprint(tmp_path) -> None:
    base = encoding_fingerprint(ROWS, "f")
    changed = [*ROWS[:-1], Row("d:5", {"text": "y" * 5, "label": "l"})]
    assert encoding_fingerprint(list(ROWS), "f") == base
    others = [
        encoding_fingerprint(ROWS, "g"),
        encoding_fingerprint(changed, "f"),
        encoding_fingerprint(ROWS[:-1], "f"),
        encoding_fingerprint(ROWS[::-1], "f"),
        encoding_fingerprint([Row("e" + row.id, row.fields) for row in ROWS], "f"),
    ]
    assert base not in others
    assert len(set(others)) == len(others)


@pytest.mark.parametrize("name", ["examples.arrow", "entry.json"])
@pytest.mark.parametrize("damage", [b"", b"garbage", None, "flip"])
def test_a_damaged_entry_is_rebuilt(cache, name, damage) -> None:
    first = encode_rows(ROWS, Counting(), fingerprint="f", cache=True)
    path = next(cache.rglob(name))
    if damage is None:
        path.unlink()
    elif damage == "flip":
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
    else:
        path.write_bytes(damage)
    encode = Counting()
    assert same(encode_rows(ROWS, encode, fingerprint="f", cache=True), first)
    if name == "examples.arrow":
        assert encode.calls == len(ROWS)
    again = Counting()
    encode_rows(ROWS, again, fingerprint="f", cache=True)
    assert again.calls == 0


def test_of_processes_that_start_at_once_one_encodes(tmp_path) -> None:
    code = (
        "import time\n"
        "from tunesmith.data.encode import encode_rows\n"
        "from tunesmith.data.row import Row\n"
        "rows = [Row(f'd:{n}', {'text': 'x'}) for n in range(20)]\n"
        "def encode(row):\n"
        "    print('encodes'); time.sleep(0.02); return {'id': row.id, 'length': 1}\n"
        "print(len(encode_rows(rows, encode, fingerprint='f', cache=True).examples))\n"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ)
        for _ in range(3)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in started]
    assert sum(output.count("encodes") for output in outputs) == 20
    assert all(output.endswith("20\n") for output in outputs)

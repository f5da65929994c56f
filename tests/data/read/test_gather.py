"""`limit` is a sample of all rows, `first` their head; several files are one source by a pattern."""

from __future__ import annotations

from collections import Counter

import pyarrow
import pytest

from tunesmith.data.read.gather import gather
from tunesmith.data.read.raw import RawRow
from tunesmith.data.read.rows import read_rows
from tunesmith.errors import UserError
from tunesmith.recipe.schema.data import Rows
from tunesmith.recipe.tasks.text import SEQUENCE_CLASSIFICATION
from tunesmith.recipe.tasks.vision import IMAGE_CLASSIFICATION

LABELLED = SEQUENCE_CLASSIFICATION.row_schema


def read(source, **settings):
    return read_rows(Rows(source=str(source), **settings))


def numbers(raw) -> list[int]:
    return [row.columns["n"] for row in raw.rows]


def test_a_sample_stands_for_a_sorted_file_and_hangs_on_the_seed(write) -> None:
    path = write("d.jsonl", [{"n": n} for n in range(1000)])
    raw = read(path, limit=100)
    found = numbers(raw)
    assert len(found) == 100
    assert found == sorted(found)
    assert 30 < sum(n >= 500 for n in found) < 70
    assert found == numbers(read(path, limit=100))
    other = read_rows(Rows(source=path, limit=100), seed=1)
    assert len(set(found) & set(numbers(other))) < 30
    assert (raw.taken, raw.of) == ("sample", 1000)


def test_all_rows_are_equally_likely() -> None:
    rows = [RawRow(str(n), {"n": n}) for n in range(20)]
    counts = Counter(
        n for seed in range(2000) for n in (int(r.id) for r in gather(rows, "", limit=5, seed=seed).rows)
    )
    assert all(400 < counts[n] < 600 for n in range(20))


def test_no_sample_is_spoken_of_where_all_rows_are_taken(write) -> None:
    path = write("d.jsonl", [{"n": n} for n in range(5)])
    for raw in (read(path, limit=5), read(path, limit=9), read(path)):
        assert numbers(raw) == [0, 1, 2, 3, 4]
        assert raw.taken == ""


def test_the_first_rows_are_read_and_no_further(write) -> None:
    raw = read(write("m.jsonl", b'\n{"n": 1}\n{"n": 2}\n{"n": 3}\nbroken\n'), first=2)
    assert numbers(raw) == [1, 2]
    assert [(skip.id, skip.reason) for skip in raw.skips] == [("m.jsonl:1", "empty")]
    assert (raw.taken, raw.of) == ("first", None)


def test_the_report_says_that_not_all_rows_are_used(write, load) -> None:
    path = write("d.jsonl", [{"text": f"t{n}"} for n in range(50)])
    for settings, said in (
        ({"limit": 20}, "20 of 50 rows, a sample, drawn evenly with seed 3"),
        ({"first": 20}, "the first 20 rows alone"),
    ):
        report = load({"source": path, **settings}, seed=3).report
        assert report.chosen(3) == (f"{path}: {said}",)
        assert report.to_dict()["sources"][0]["rows"] == 20


def test_a_sample_of_what_may_have_no_end_is_refused(tmp_path, monkeypatch) -> None:
    (tmp_path / "endless_rows.py").write_text(
        "import itertools\ndef rows(): return ({'n': n} for n in itertools.count())\n"
        "def whole(): return [{'n': n} for n in range(9)]\n"
    )
    with pytest.raises(UserError, match="perhaps without an end") as caught:
        read_rows(Rows(source="python:endless_rows:rows", limit=3), folder=tmp_path)
    assert "first: N" in caught.value.hint
    assert numbers(read_rows(Rows(source="python:endless_rows:rows", first=3), folder=tmp_path)) == [0, 1, 2]
    assert len(read_rows(Rows(source="python:endless_rows:whole", limit=3), folder=tmp_path).rows) == 3


# --- patterns --------------------------------------------------------------------------------


def test_files_of_several_formats_and_packings_by_one_pattern(write, tmp_path, monkeypatch) -> None:
    packed = pyarrow.compress(b'{"n": 2}\n{"n": 3}\n', codec="zstd", asbytes=True)
    write("part-1.jsonl", b'{"n": 1}\n')
    write("part-2.jsonl.zst", packed + packed)
    write("part-3.csv", b"n\n4\n")
    write("part-4.JSONL", b'{"n": 5}\n')
    write(".part-5.jsonl", b'{"n": 6}\n')
    raw = read(tmp_path / "part-*")
    assert numbers(raw) == [1, 2, 3, 2, 3, "4", 5]
    assert raw.rows[1].id == "part-2.jsonl.zst:1"
    assert raw.where(raw.rows[5].id) == f"{tmp_path}/part-3.csv:2"
    monkeypatch.chdir(tmp_path)
    assert numbers(read("./part-[13].*")) == [1, "4"]
    assert len(numbers(read("./part-*", limit=4))) == 4


def test_files_of_one_name_in_several_folders_and_pictures_beside_each(tmp_path, load) -> None:
    from PIL import Image

    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4), {"a": "red", "b": "blue", "c": "green"}[name]).save(
            tmp_path / name / "x.png"
        )
        (tmp_path / name / "rows.jsonl").write_text(f'{{"image": "x.png", "label": "{name}"}}\n')
    raw = read(tmp_path / "**" / "rows.jsonl")
    assert [row.id for row in raw.rows] == ["a/rows.jsonl:1", "b/rows.jsonl:1", "c/rows.jsonl:1"]
    loaded = load({"source": f"{tmp_path}/*/rows.jsonl"}, needs=IMAGE_CLASSIFICATION.row_schema)
    images = {row.fields["image"] for row in (*loaded.train, *loaded.eval)}
    assert images == {f"{tmp_path}/{name}/x.png" for name in "abc"}


def test_a_pattern_that_matches_nothing_says_what_is_there(write, tmp_path) -> None:
    write("part-1.jsonl", b"{}\n")
    for pattern, words in (("prat-*.jsonl", "part-1.jsonl"), ("gone/*.jsonl", "no folder")):
        with pytest.raises(UserError, match="matches no file") as caught:
            read(tmp_path / pattern)
        assert words in caught.value.hint
    (tmp_path / "sub").mkdir()
    with pytest.raises(UserError, match="folders alone"):
        read(tmp_path / "su*")


def test_a_file_that_is_really_called_so(write, tmp_path) -> None:
    path = write("odd[1]*.jsonl", b'{"n": 1}\n')
    write("odd1x.jsonl", b'{"n": 2}\n')
    assert numbers(read(path)) == [1]


def test_settings_of_files_that_a_pattern_does_not_match(write, tmp_path) -> None:
    write("a.jsonl", b"{}\n")
    with pytest.raises(UserError, match="`columns` means nothing"):
        read(tmp_path / "a*.jsonl", columns=("a",))
    with pytest.raises(UserError, match="`sha256` is of one file"):
        read(tmp_path / "a*.jsonl", sha256="0" * 64)


def test_pipes_and_archives_are_refused_at_once(tmp_path, write) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(UserError, match="neither a file nor a folder"):
        read(tmp_path / "pipe.jsonl")
    for name in ("a.tar", "a.tar.gz", "a.zip", "a.tgz"):
        with pytest.raises(UserError, match="is an archive"):
            read(write(name, b"x"))


def test_damaged_archives(write) -> None:
    import gzip

    whole = {
        ".zst": pyarrow.compress(b'{"n": 1}\n' * 9999, codec="zstd", asbytes=True),
        ".gz": gzip.compress(b'{"n": 1}\n' * 9999),
    }
    for ending, raw in whole.items():
        for bad in (raw[: len(raw) // 2], b"not packed", raw[:9] + b"xxxx" + raw[13:]):
            with pytest.raises(UserError, match="cannot be"):
                read(write(f"a.jsonl{ending}", bad))

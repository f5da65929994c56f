"""Files as they come: good ones, and ones that an enemy wrote."""

from __future__ import annotations

import gzip
import itertools
import json
from pathlib import Path

import pytest

from tunesmith.data.read.rows import read_rows
from tunesmith.errors import UserError
from tunesmith.recipe.schema.data import Rows


def read(source: str, **settings):
    return read_rows(Rows.model_validate({"source": source} | settings))


def columns_of(raw) -> list:
    return [dict(row.columns) for row in raw.rows]


def reasons(raw) -> list[tuple[str, str]]:
    return [(skip.id.rpartition(":")[2], skip.reason) for skip in raw.skips]


AB = [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]


@pytest.mark.parametrize(
    ("name", "content", "settings"),
    [
        ("d.jsonl", b'{"a": "1", "b": "x"}\n{"a": "2", "b": "y"}\n', {}),
        ("d.jsonl", b'\xef\xbb\xbf{"a": "1", "b": "x"}\r\n{"a": "2", "b": "y"}', {}),
        ("d.data", b'{"a": "1", "b": "x"}\n{"a": "2", "b": "y"}\n', {"format": "jsonl"}),
        ("d.JSONL", b'{"a": "1", "b": "x"}\n{"a": "2", "b": "y"}\n', {}),
        ("d.jsonl.gz", gzip.compress(b'{"a": "1", "b": "x"}\n{"a": "2", "b": "y"}\n', mtime=0), {}),
        ("d.json", b'[{"a": "1", "b": "x"},\n {"a": "2", "b": "y"}]', {}),
        ("d.csv", b"a,b\n1,x\n2,y\n", {}),
        ("d.csv", b'\xef\xbb\xbf"a","b"\r\n1,x\r\n2,y\r\n', {}),
        ("d.csv", b"1,x\n2,y\n", {"columns": ["a", "b"]}),
        ("d.tsv", b"a\tb\r\n1\tx\r\n2\ty", {}),
        ("d.tsv", b"1\tx\n2\ty\n", {"columns": ["a", "b"]}),
        ("d.txt", b"1:x\n2:y\n", {"pattern": r"(?P<a>\d):(?P<b>\w)"}),
        ("d.txt", "1:x\n2:y\n".encode("utf-16"), {"pattern": r"(?P<a>\d):(?P<b>\w)", "encoding": "utf-16"}),
        ("d.csv", "a,b\r\n1,x\r\n2,y\r\n".encode("utf-16"), {"encoding": "utf-16"}),
    ],
)
def test_every_format_gives_the_same_rows(write, name, content, settings) -> None:
    raw = read(write(name, content), **settings)
    assert columns_of(raw) == AB
    assert raw.skips == ()
    assert raw.columns() == ["a", "b"]


def test_parquet_and_saved_data_sets(tmp_path) -> None:
    import datasets

    made = datasets.Dataset.from_list(AB)
    made.to_parquet(str(tmp_path / "d.parquet"))
    made.save_to_disk(str(tmp_path / "saved"))
    datasets.DatasetDict({"train": made, "test": made.select([0])}).save_to_disk(str(tmp_path / "splits"))
    assert columns_of(read(f"{tmp_path}/d.parquet")) == AB
    assert columns_of(read(f"{tmp_path}/saved")) == AB
    assert columns_of(read(f"{tmp_path}/splits", split="test")) == AB[:1]
    with pytest.raises(UserError, match="several splits") as caught:
        read(f"{tmp_path}/splits")
    assert "`train`, `test`" in caught.value.hint
    with pytest.raises(UserError, match="no split `tset`") as caught:
        read(f"{tmp_path}/splits", split="tset")
    assert "did you mean `test`" in caught.value.hint


def test_a_folder_of_data_files_is_a_data_set(tmp_path, monkeypatch) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in AB))
    assert columns_of(read(f"{tmp_path}/folder")) == AB
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="is not a data set"):
        read(f"{tmp_path}/empty")


def test_numbers_of_a_class_label_become_names(tmp_path) -> None:
    import datasets

    features = datasets.Features({"label": datasets.ClassLabel(names=["no", "yes"])})
    datasets.Dataset.from_dict({"label": [1, 0, -1]}, features=features).save_to_disk(str(tmp_path / "d"))
    assert columns_of(read(f"{tmp_path}/d")) == [{"label": "yes"}, {"label": "no"}, {"label": None}]


def test_a_data_set_that_the_hub_would_have() -> None:
    with pytest.raises(UserError, match="HF_HUB_OFFLINE"):
        read("tunesmith-tests/there-is-none", split="train")


modules = itertools.count()


def test_callables_give_rows_or_a_data_set(tmp_path) -> None:
    name = f"gives_rows_{next(modules)}"
    (tmp_path / f"{name}.py").write_text(
        "import datasets\n"
        "def rows(n): return [{'a': i} for i in range(n)] + ['odd']\n"
        "def dataset():\n"
        "    features = datasets.Features({'l': datasets.ClassLabel(names=['no', 'yes'])})\n"
        "    return datasets.Dataset.from_dict({'l': [1]}, features=features)\n"
    )
    raw = read_rows(Rows(source=f"python:{name}:rows", arguments={"n": 2}), folder=tmp_path)
    assert columns_of(raw) == [{"a": 0}, {"a": 1}]
    assert [row.id for row in raw.rows] == [f"{name}.rows:0", f"{name}.rows:1"]
    assert "the row is text" in raw.skips[0].detail
    assert columns_of(read_rows(Rows(source=f"python:{name}:dataset"), folder=tmp_path)) == [{"l": "yes"}]


BAD_JSONL = (
    b'{"a": 1}\n\n{"a": 1,}\n[1]\n"x"\nnull\n{"a": "\xff"}\n{"a": "\x00"}\n   \r\n'
    + b'{"a": '
    + b"[" * 100_000
    + b"}\n"
    + b'{"a": '
    + b"9" * 5000
    + b'}\n{"a": 2}\n'
)


def test_bad_lines_are_found_where_they_stand_and_lose_no_other(write) -> None:
    raw = read(write("bad.jsonl", BAD_JSONL))
    assert columns_of(raw) == [{"a": 1}, {"a": 2}]
    assert [row.id for row in raw.rows] == ["bad.jsonl:1", "bad.jsonl:12"]
    found = dict(reasons(raw))
    assert found == {"2": "empty", "9": "empty"} | {str(n): "malformed" for n in (3, 4, 5, 6, 7, 8, 10, 11)}
    details = {skip.id.rpartition(":")[2]: skip.detail for skip in raw.skips}
    assert "column 9" in details["3"]
    assert "format: json" in details["4"]
    assert "null" in details["6"]
    assert "0xff" in details["7"]
    assert "NUL" in details["8"]
    assert raw.where(raw.skips[1].id).endswith("bad.jsonl:3")


def test_bad_rows_of_tables(write) -> None:
    raw = read(write("bad.csv", b'a,b\n1,x\n1\n1,2,3\n\n"q""uo,te","two\nlines"\n"x"y,2\n2,z\n"open,1\n'))
    assert columns_of(raw) == [AB[0], {"a": 'q"uo,te', "b": "two\nlines"}, {"a": "2", "b": "z"}]
    assert [row.id.rpartition(":")[2] for row in raw.rows] == ["2", "6", "9"]
    assert reasons(raw) == [
        ("3", "malformed"),
        ("4", "malformed"),
        ("5", "empty"),
        ("8", "malformed"),
        ("10", "malformed"),
    ]
    assert "1 cells for the 2 columns `a`, `b`" in raw.skips[0].detail
    assert "unpaired quote" in raw.skips[-1].detail


def test_quotes_mean_nothing_in_tab_separated_files(write) -> None:
    raw = read(write("q.tsv", 'a\tb\n"open\tx\n1\t"y" z\n'))
    assert columns_of(raw) == [{"a": '"open', "b": "x"}, {"a": "1", "b": '"y" z'}]
    assert raw.skips == ()


def test_a_huge_line_is_a_line(write) -> None:
    long = "x" * 3_000_000
    assert columns_of(read(write("h.csv", f"a,b\n{long},1\n"))) == [{"a": long, "b": "1"}]
    assert columns_of(read(write("h.txt", long))) == [{"text": long}]


def test_separators_of_lines_inside_a_line_do_not_part_it(write) -> None:
    text = "one\u2028two\x85three\x0bfour\rfive"
    assert columns_of(read(write("s.txt", text + "\nsix\n"))) == [{"text": text}, {"text": "six"}]


def test_lines_that_a_pattern_does_not_match_are_malformed(write) -> None:
    raw = read(write("p.txt", "1:x\n\nnothing\n1:x and more\n"), pattern=r"(?P<a>\d):(?P<b>\w)")
    assert columns_of(raw) == [{"a": "1", "b": "x"}]
    assert reasons(raw) == [("2", "empty"), ("3", "malformed"), ("4", "malformed")]


def test_latin_1_is_read_as_such_and_refused_as_utf_8(write) -> None:
    path = write("l.txt", "caf\xe9\n".encode("latin-1"))
    assert columns_of(read(path, encoding="latin-1")) == [{"text": "caf\xe9"}]
    assert "0xe9" in read(path).skips[0].detail


@pytest.mark.parametrize(
    "case",
    [
        ("d.xyz", b"", {}, "says nothing about its format"),
        ("noending", b"", {"source": "./noending"}, "`csv`, `json`, `jsonl`"),
        ("d.json", b'{"data": [1]}', {}, "write the list under `data`"),
        ("d.json", b'{"a": 1}\n{"a": 2}\n', {}, "set `format: jsonl`"),
        ("d.json", b'[{"a": 1}\n {"b"', {}, "d.json:2:2"),
        ("d.json", b"[" * 100_000, {}, "not JSON"),
        ("d.csv", b"a,a\n1,2\n", {}, "names `a` twice"),
        ("d.parquet", b"PAR1 is not enough", {}, "not a Parquet file"),
        ("d.jsonl.gz", b"not gzip", {}, "cannot be read"),
        ("d.jsonl.gz", gzip.compress(b"x" * 9999, mtime=0)[:-9], {}, "cannot be read"),
        ("d.txt", "x".encode("utf-16"), {}, "encoding: utf-16"),
        ("d.txt", b"\x00\xd8", {"encoding": "utf-16-le"}, "is not utf-16-le"),
        ("d.txt", b"x", {"encoding": "utf9"}, "did you mean `utf-8`"),
        ("d.txt", b"x", {"encoding": "rot13"}, "no encoding"),
        ("d.txt", b"x", {"encoding": "hex"}, "no encoding"),
        ("d.txt", b"x", {"pattern": "(?P<a>"}, "not a regular expression"),
        ("d.txt", b"x", {"pattern": "x"}, "no named group"),
        ("d.jsonl", b"{}", {"pattern": "(?P<a>x)"}, "`pattern` means nothing"),
        ("d.jsonl", b"{}", {"columns": ["a"]}, "`columns` means nothing"),
        ("d.jsonl", b"{}", {"split": "train"}, "`split` means nothing"),
        ("d.jsonl", b"{}", {"arguments": {"a": 1}}, "`arguments` means nothing"),
        ("d.csv", b"1,2", {"columns": ["a", "a"]}, "names a column twice"),
        ("d.jsonl", b"{}", {"format": "hf"}, "is a file"),
        ("d.jsonl", b"{}", {"format": "python"}, "is a file"),
    ],
)
def test_what_cannot_be_read_at_all_says_why(write, monkeypatch, case) -> None:
    name, content, settings, words = case
    path = write(name, content)
    monkeypatch.chdir(Path(path).parent)
    with pytest.raises(UserError) as caught:
        read(**({"source": path} | settings))
    assert words in str(caught.value)


def test_a_header_given_twice_is_malformed(write) -> None:
    raw = read(write("d.csv", "a,b\n1,x\n"), columns=["a", "b"])
    assert "is it a header" in raw.skips[0].detail
    assert columns_of(raw) == AB[:1]


def test_an_empty_file_has_no_rows(write) -> None:
    for name in ("d.jsonl", "d.json", "d.csv", "d.tsv", "d.txt"):
        assert read(write(name, b"")).rows == ()


CONLLU_LINES = """# sent_id = a1
# text = Da sala.
1-2\tDa\t_\t_\t_\t_\t_\t_\t_\t_
1\tDe\tde\tADP\t_\t_\t_\t_\t_\t_
2\ta\to\tDET\t_\t_\t_\t_\t_\t_
3\tsala\tsala\tNOUN\t_\t_\t_\t_\t_\t_
3.1\tx\tx\tX\t_\t_\t_\t_\t_\t_

# newpar
1\tSim\tsim\tINTJ\t_\t_\t_\t_\t_\t_
2\tcut
"""


def test_a_sentence_of_conllu_is_a_row(tmp_path):
    (tmp_path / "a.conllu").write_text(CONLLU_LINES)
    raw = read_rows(Rows(source=str(tmp_path / "a.conllu")))
    assert [row.id for row in raw.rows] == ["a.conllu:1"]
    columns = raw.rows[0].columns
    assert (columns["sent_id"], columns["text"]) == ("a1", "Da sala.")
    assert (columns["tokens"], columns["upos"]) == (["De", "a", "sala"], ["ADP", "DET", "NOUN"])
    assert [(skip.id, skip.reason, skip.detail) for skip in raw.skips] == [
        ("a.conllu:9", "malformed", "line 11 has 2 columns, and the sentence began with 10")
    ]


@pytest.mark.parametrize(("columns", "names"), [(None, ("tokens", "column_2")), (("word", "ner"),) * 2])
def test_a_sentence_of_conll_is_a_row(tmp_path, columns, names):
    text = "-DOCSTART- O\n\n# O\n7 B-CARDINAL\n\n\nU.N. B-ORG\n\nbad\xff O\n"
    (tmp_path / "a.conll").write_bytes(text.encode("latin-1"))
    raw = read_rows(Rows(source=str(tmp_path / "a.conll"), columns=columns))
    found = [tuple(row.columns[name] for name in names) for row in raw.rows]
    assert found == [(["#", "7"], ["O", "B-CARDINAL"]), (["U.N."], ["B-ORG"])]
    assert [skip.reason for skip in raw.skips] == ["malformed"]
    assert "byte 0xff" in raw.skips[0].detail


def test_columns_of_conll_are_as_many_as_named(tmp_path):
    (tmp_path / "a.conll").write_text("a O X\n")
    raw = read_rows(Rows(source=str(tmp_path / "a.conll"), columns=("word", "tag")))
    assert [skip.detail for skip in raw.skips] == ["3 columns, and `columns` has 2 names"]

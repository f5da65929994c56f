"""The whole way from files to rows."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tunesmith.data.row import Skip
from tunesmith.errors import UserError
from tunesmith.recipe.tasks.text import REGRESSION, SEQUENCE_CLASSIFICATION

LABELLED = SEQUENCE_CLASSIFICATION.row_schema


def texts(rows) -> list[str]:
    return [row.fields["text"] for row in rows]


def test_rows_of_several_sources_keep_their_order_and_their_source(write, load) -> None:
    one = write("one.jsonl", [{"text": f"a{n}"} for n in range(5)])
    two = write("two.txt", "".join(f"b{n}\n" for n in range(5)))
    loaded = load({"source": one, "weight": 1}, {"source": two, "weight": 2}, eval={"holdout": 2})
    assert loaded.weights == (1.0, 2.0)
    assert [text[0] for text in texts(loaded.train)] == ["ab"[source] for source in loaded.source_of]
    assert texts(loaded.train) == sorted(texts(loaded.train))


def test_ids_are_unique_even_if_files_are_called_the_same(write, load, tmp_path) -> None:
    (tmp_path / "x").mkdir()
    sources = [write("d.txt", "a\nb\n"), write("x/d.txt", "c\nd\n")]
    loaded = load(*({"source": source} for source in sources), eval={"source": write("x/e.txt", "e\n")})
    assert [row.id for row in loaded.train] == ["d.txt#1:1", "d.txt#1:2", "d.txt#2:1", "d.txt#2:2"]
    assert [row.id for row in loaded.eval] == ["e.txt:1"]


def test_the_report_is_what_the_run_directory_holds(write, load) -> None:
    path = write("d.txt", "".join(f"t{n}\n" for n in range(10)))
    report = load({"source": path}, eval={"holdout": 3}).report
    found = json.loads(json.dumps(report.to_dict()))
    assert (found["train"], found["eval"]) == (7, 3)
    assert found["tokens"] is None
    unsought = replace(report, looked_for_near=False).to_dict()
    assert set(found["found"]) - set(unsought["found"]) == {"near_duplicates"}, "not sought is not none found"
    assert set(found["found"]) == set(found["dropped"])
    after = report.with_encoding(
        [Skip("d.txt:1", "too_long", "70 tokens"), Skip("d.txt:2", "no_loss")],
        train=5,
        eval=3,
        truncated=["d.txt:3"],
        lengths=[4, 6, 11],
        supervised=9,
    ).to_dict()
    assert (after["train"], after["found"]["too_long"], after["dropped"]["no_loss"]) == (5, 1, 1)
    assert (after["found"]["truncated"], after["dropped"]["truncated"]) == (1, 0)
    assert after["tokens"] == {"total": 21, "supervised": 9, "longest": 11, "median": 6.0}
    assert after["examples_of"]["too_long"] == [{"id": "d.txt:1", "detail": "70 tokens"}]


def test_limits_hold_per_source(write, load) -> None:
    one, two = write("one.txt", "a\nb\nc\n"), write("two.txt", "d\ne\n")
    loaded = load({"source": one, "limit": 2}, {"source": two})
    assert len(loaded.train) + len(loaded.eval) == 4


@pytest.mark.parametrize(
    ("sources", "sections", "words"),
    [
        ([b""], {}, "has no rows"),
        ([b"\n\n"], {}, "none of the 2 rows"),
        ([b'{"text": ""}\n'], {}, "`text` is empty"),
        ([b'{"text": "a"}\n'], {}, "holds out 1 rows, and there are 1"),
        ([b'{"text": "a"}\n', b'{"text": "a"}\n'], {"eval": 1}, "all of them are evaluated on as well"),
        ([b'{"text": "a"}\n', b""], {"eval": 1}, "has no rows"),
        ([b'{"text": "a"}\n', b'{"txt": "a"}\n'], {"eval": 1}, "data.eval"),
    ],
)
def test_nothing_to_learn_from(write, load, sources, sections, words) -> None:
    paths = [write(f"{number}.jsonl", content) for number, content in enumerate(sources)]
    if sections:
        sections = {"eval": {"source": paths.pop(sections["eval"])}}
    with pytest.raises(UserError) as caught:
        load(*({"source": path} for path in paths), **sections)
    assert words in str(caught.value)


def test_settings_that_mean_nothing_are_refused(write, load) -> None:
    one, two = write("one.txt", "a\nb\n"), write("two.txt", "c\n")
    with pytest.raises(UserError, match="`weight` means nothing"):
        load({"source": one}, eval={"source": two, "weight": 1})
    with pytest.raises(UserError, match="source 2"):
        load({"source": one, "weight": 1}, {"source": two})


def test_a_header_taken_for_a_row_is_explained(write, load) -> None:
    path = write("d.tsv", "id\tscore\ttext\n1\t0.5\tgood\n")
    source = {"source": path, "columns": ["id", "rating", "text"], "text": "text", "target": "rating"}
    with pytest.raises(UserError, match="line 1 is a header"):
        load(source, needs=REGRESSION.row_schema)


def test_the_fingerprint_follows_the_content_and_not_the_place(write, load, tmp_path) -> None:
    (tmp_path / "x").mkdir()
    here, there = write("d.txt", "a\nb\nc\n"), write("x/d.txt", "a\nb\nc\n")
    other = write("e.txt", "a\nb\nd\n")
    prints = [load({"source": path}).fingerprint for path in (here, there, other)]
    assert prints[0] == prints[1] != prints[2]

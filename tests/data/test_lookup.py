"""Rows found again in the files they came from."""

from __future__ import annotations

import json

from tunesmith.data.lookup import find_rows
from tunesmith.recipe.schema.data import Data
from tunesmith.recipe.schema.eval import Eval


def test_rows_of_files_are_found_and_others_are_passed_over(tmp_path) -> None:
    (tmp_path / "x").mkdir()
    for name in ("a.jsonl", "x/a.jsonl"):
        lines = [json.dumps({"text": f"{name} {line}"}) for line in (1, 2, 3)]
        (tmp_path / name).write_text("\n".join(lines))
    for number in (1, 2):
        (tmp_path / f"part-{number}.txt").write_text("one\ntwo\n")
    sources = ["a.jsonl", "x/a.jsonl", "part-*.txt", "gone.jsonl"]
    train = [{"source": str(tmp_path / source)} for source in sources]
    data = Data.model_validate({"train": [*train, {"source": "python:no_such_module:rows"}]})
    wanted = ["a.jsonl#1:2", "a.jsonl#2:3", "part-2.txt:1", "gone.jsonl:1", "no_such_module.rows:0", "odd"]
    found = find_rows(data, Eval(), wanted)
    assert {row: (place, dict(columns)) for row, (place, columns) in found.items()} == {
        "a.jsonl#1:2": (f"{tmp_path}/a.jsonl:2", {"text": "a.jsonl 2"}),
        "a.jsonl#2:3": (f"{tmp_path}/x/a.jsonl:3", {"text": "x/a.jsonl 3"}),
        "part-2.txt:1": (f"{tmp_path}/part-2.txt:1", {"text": "one"}),
    }

"""A run that tags words: from marked places in texts to places in a text that it has never seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.prepare.inputs import prepare
from tunesmith.recipe.load import load_recipe

SMOKE = Path(__file__).parents[2] / "recipes" / "smoke" / "token-classification.yaml"
ROWS = "data.train={source: ./rows.jsonl, fields: {text: said, spans: marks}}"


def marked(number: int) -> dict:
    name, place = f"{['Ann', 'Bob', 'Cleo'][number % 3]} Smith", ["Rome", "Oslo", "Lima"][number % 3]
    text = f"{name} was in {place}, day {number}."
    spans = [(0, len(name), "a person"), (text.index(place), text.index(place) + len(place), "place")]
    return {"said": text, "marks": [dict(zip(("start", "end", "label"), one, strict=True)) for one in spans]}


def write(folder: Path, rows: list) -> None:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "recipe.yaml").write_text(f"extends: {SMOKE}\n")


@pytest.mark.slow
def test_from_marked_places_to_marked_places(launcher, tmp_path):
    write(tmp_path, [marked(number) for number in range(160)])
    overrides = [ROWS, "data.eval.holdout=40", "data.max_length=16", "run.dir=runs/places"]
    launcher.run(tmp_path / "recipe.yaml", *overrides, cwd=tmp_path)
    result = json.loads((tmp_path / "runs/places/result.json").read_text())
    assert result["best"]["metrics"]["entity_f1"] >= 0.97
    assert "token_accuracy" in result["best"]["metrics"]
    table = next(one for one in result["without_model"] if one["name"] == "each word's commonest tag")
    assert table["metrics"]["token_accuracy"] > 0.9
    text = "Cleo Smith was in Oslo, day 999."
    (tmp_path / "asked.jsonl").write_text(json.dumps({"said": text}) + "\n")
    launcher.command("generate", "runs/places", "-i", "asked.jsonl", "-o", "out.jsonl", cwd=tmp_path)
    said = json.loads((tmp_path / "out.jsonl").read_text())["output"]
    assert [(one["label"], one["text"]) for one in said] == [("a_person", "Cleo Smith"), ("place", "Oslo")]
    assert [text[one["start"] : one["end"]] for one in said] == ["Cleo Smith", "Oslo"]
    launcher.command("evaluate", "runs/places", "--data", "rows.jsonl", cwd=tmp_path)


@pytest.mark.parametrize(
    ("rows", "override", "messages"),
    [
        ([{"said": f"a {n}", "marks": []} for n in range(9)], "data.eval.holdout=2", ["hold 1 label (O)"]),
        (
            [marked(1), {"said": "Ann", "marks": [{"start": 0, "end": 9, "label": "x"}]}],
            ROWS,
            [":2", "ends at 9"],
        ),
        (
            [marked(1)],
            "data.train={source: ./rows.jsonl, fields: {text: said}}",
            ["needs `tokens` and `tags`", "`spans`"],
        ),
        ([marked(1)], "data.train={source: ./rows.jsonl, fields: {tokens: said, spans: marks}}", ["needs"]),
        ([marked(1)], "task.overlap=-1", ["`task.overlap` must be a whole number of at least 0"]),
        ([marked(1)], "eval.metrics=[entity_f2]", ["did you mean `entity_f1`"]),
    ],
)
def test_mistakes_are_told(tmp_path, monkeypatch, rows, override, messages):
    write(tmp_path, rows)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as told:
        prepare(load_recipe(tmp_path / "recipe.yaml", [ROWS, override]), tmp_path)
    for message in messages:
        assert message in str(told.value)

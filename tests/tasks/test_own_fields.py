"""Tasks of one's own with fields of any name and kind, from rows to answers."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.prepare.inputs import prepare
from tunesmith.prepare.preview import preview
from tunesmith.recipe.load import load_recipe

HERE = Path(__file__).parent / "own_fields"
PAIRS = [
    {"q": f"what is {n}?", "good": f"it is the number {n}", "bad": f"who knows {n * 7 % 10}"}
    for n in range(40)
]
TEXTS = [
    {
        "body": f"Ann has {n} {'cats' if n % 2 else 'pens'}",
        "topics": ["pets", "people"] if n % 2 else "people",
        "names": [[0, 3, "NAME"]],
    }
    for n in range(40)
]
FIELDS = "data.train.fields={prompt: q, chosen: good, rejected: bad}"
TAGS = "task=python:own_tags:Tags"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch):
    shutil.copytree(HERE, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("own_pairs", "own_tags"):
        sys.modules.pop(name, None)
    sys.path[:] = [entry for entry in sys.path if entry != str(tmp_path)]


def write(folder: Path, rows: list) -> None:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def prepared(folder: Path, rows: list, *overrides: str):
    write(folder, rows)
    return prepare(load_recipe(folder / "recipe.yaml", overrides), folder)


def test_rows_are_cleaned_split_and_shown(folder: Path) -> None:
    parts = prepared(folder, [*PAIRS, PAIRS[0], {**PAIRS[1], "bad": "other"}], FIELDS)
    found = parts.report.findings.found
    assert (found["duplicates"], found["conflicts"]) == (1, 1)
    assert len(parts.held_out.eval) == 8
    asked = {one["input"] for one in parts.train} & {one["input"] for one in parts.held_out.eval}
    assert not asked, "rows that ask the same stand on one side"
    assert preview(parts, 1)[0]["tokens"][-1] == [" -> 1.0", True]


def test_what_a_task_does_not_say_is_shown_by_kinds(folder: Path) -> None:
    parts = prepared(folder, [{**row, "title": "T"} for row in TEXTS], TAGS)
    [row] = preview(parts, 1)
    said, learnt = (text for text, _ in row["tokens"])
    assert said.startswith("body: Ann has")
    assert said.endswith("\ntitle: T")
    assert learnt.startswith(" -> topics: ")
    assert '\nnames: [{"start": 0, "end": 3, "label": "NAME"}]' in learnt
    both = [one for one in parts.held_out.eval if "pets" in one["reference"]]
    assert len(both) == 4, "shares of topics are kept"


@pytest.mark.parametrize(
    ("rows", "overrides", "messages"),
    [
        (PAIRS, ["data.train.fields={promt: q}"], ["has no field `promt`", "did you mean `prompt`"]),
        (PAIRS, [FIELDS, "data.train.prompt=q"], ["`prompt` and `fields.prompt` both say"]),
        (
            PAIRS,
            ["data.train.fields={prompt: q, chosen: good}"],
            ["the task needs `rejected`", "`q`, `good`, `bad`"],
        ),
        (PAIRS, [], ["the task needs `rejected`", "the columns are `q`, `good`, `bad`"]),
        (PAIRS, ["data.train.fields={prompt: q, chosen: good, rejected: bat}"], ["did you mean `bad`"]),
        ([{**TEXTS[0], "names": [[0, 99, "NAME"]]}, *TEXTS], [TAGS], ["rows.jsonl:1", "ends at 99"]),
        ([{**TEXTS[0], "topics": [["a"]]}, *TEXTS], [TAGS], ["rows.jsonl:1", "`topics` is a list"]),
        (TEXTS, [TAGS, "data.eval={source: ./rows.jsonl, fields: {titel: body}}"], ["mean `title`"]),
    ],
)
def test_mistakes_are_told(folder: Path, rows: list, overrides: list[str], messages: list[str]) -> None:
    with pytest.raises(UserError) as told:
        prepared(folder, rows, *overrides)
    for message in messages:
        assert message in str(told.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"rejected", "text"', '"chosen", "text"', "declares two fields `chosen`"),
        (
            '"rejected", "text"',
            '"rejected", "txt"',
            "which there is not\nhint: did you mean `text`",
        ),
        (
            '"rejected", "text"',
            '"rejected", "spans", of="promt"',
            "about the field `promt`, which",
        ),
        ('inputs=(Field("prompt", "text"),)', "inputs=()", "declares no input"),
    ],
)
def test_a_declaration_that_no_row_fits_is_refused(folder: Path, old: str, new: str, message: str) -> None:
    code = (folder / "own_pairs.py").read_text()
    assert old in code
    (folder / "own_pairs.py").write_text(code.replace(old, new))
    with pytest.raises(UserError) as told:
        prepared(folder, PAIRS, FIELDS)
    assert message in str(told.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "override", "question", "answer"),
    [(PAIRS, FIELDS, {"q": "what is 3?"}, float), (TEXTS, TAGS, {"body": "Ann has 3 cats"}, list)],
    ids=["pairs", "tags"],
)
def test_a_run_learns_and_answers(launcher, folder: Path, rows, override, question, answer) -> None:
    write(folder, rows)
    (folder / "asked.jsonl").write_text(json.dumps(question) + "\n")
    launcher.run(folder / "recipe.yaml", override, cwd=folder)
    task = override.removeprefix("task=") if override == TAGS else "python:own_pairs:Pairs"
    asked = ["runs/recipe", "--input", "asked.jsonl", "--output", "said.jsonl", "--task", task]
    launcher.command("generate", *asked, cwd=folder)
    [line] = map(json.loads, (folder / "said.jsonl").read_text().splitlines())
    assert isinstance(line["output"], answer)
    assert line["input"] == next(iter(question.values()))
    launcher.command("report", "runs/recipe", cwd=folder)

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.cli.init.init import start_recipe
from tunesmith.cli.init.templates import templates
from tunesmith.errors import UserError
from tunesmith.recipe.load import load_recipe
from tunesmith.recipe.yaml.launchable import LAUNCH_LINE, is_launchable

Command = Callable[..., tuple[int, str, str]]
TEMPLATE = f"""\
{LAUNCH_LINE}
# A recipe to start from. Command: accelerate launch recipes/mine.yaml
task: causal-lm
model: {{source: org/name}}
data:
  train:
    # rows come first
    source: org/rows
    split: train
    prompt: "Q: {{question}}"  # the question
    completion: answer
  eval: {{holdout: 300}}
optimizer: {{learning_rate: 1e-3}}
batch: {{size: 8}}
run: {{dir: runs/mine}}
# \"\"\"
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    (tmp_path / "shipped").mkdir()
    path = tmp_path / "shipped" / "mine.yaml"
    path.write_text(TEMPLATE)
    return path


def test_the_shipped_recipes_are_found_and_listed(tunesmith: Command):
    shipped = templates()
    assert "gpt_sft" in shipped
    status, out, _ = tunesmith("init")
    assert status == 0
    assert all(name in out for name in shipped)


@pytest.mark.parametrize(
    ("name", "content", "fields"),
    [
        ("d.csv", "question,answer\na,b\nc,d\n", ["prompt: question  # the question", "completion: answer"]),
        ("d.tsv", "question\tanswer\na\tb\n", ["prompt: question  # the question", "completion: answer"]),
        ("d.jsonl", '{"messages": [{"role": "user", "content": "x"}]}\n', ["messages: messages"]),
        ("d.txt", "one line\nanother\n", ["text: text"]),
        ("d.json", '[{"instruction": "a", "output": "b"}]', ["instruction: instruction", "output: output"]),
    ],
)
def test_a_copy_is_fitted_to_the_data(
    tunesmith: Command, template: Path, name: str, content: str, fields: list[str]
):
    Path("data").mkdir()
    (Path("data") / name).write_text(content)
    status, out, err = tunesmith("init", template, "--data", f"data/{name}", "--out", "new.yaml")
    assert (status, err) == (0, "")
    text = Path("new.yaml").read_text()
    recipe = load_recipe(Path("new.yaml"))
    assert recipe.data.train[0].source == str(Path("data", name).absolute())
    assert recipe.data.eval.model_dump()["holdout"] == 0.2
    assert recipe.run.dir == "runs/new"
    for line in [*fields, "# rows come first", "Command: accelerate launch new.yaml", LAUNCH_LINE]:
        assert line in text
    for gone in ("split", "org/rows"):
        assert gone not in text
    assert f"source: ./data/{name}" in text
    for shown in (
        "saw",
        "fields",
        "check",
        "next    tunesmith preview new.yaml",
        "accelerate launch new.yaml",
    ):
        assert shown in out


def test_parquet(tunesmith: Command, template: Path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"question": ["a"], "answer": ["b"]}), "d.parquet")
    assert tunesmith("init", template, "--data", "d.parquet")[0] == 0
    assert load_recipe(Path("mine.yaml")).data.train[0].prompt == "question"


def test_data_alone_chooses_the_recipe(tunesmith: Command):
    Path("d.csv").write_text("text,score\nfine,0.5\nbad,-1.25\n")
    status, out, _ = tunesmith("init", "--data", "d.csv", "--out", "sub/x.yaml")
    assert status == 0
    assert "from recipe `bert_regression`" in out
    recipe = load_recipe(Path("sub/x.yaml"))
    assert recipe.task.name == "regression"
    assert recipe.data.train[0].target == "score"
    assert "source: ../d.csv" in Path("sub/x.yaml").read_text()


def test_nothing_is_overwritten_unless_forced(tunesmith: Command, template: Path):
    Path("mine.yaml").write_text("precious\n")
    status, _, err = tunesmith("init", template)
    assert status == 2
    assert "is there already, and nothing was changed" in err
    assert Path("mine.yaml").read_text() == "precious\n"
    assert tunesmith("init", template, "--force")[0] == 0
    assert "task: causal-lm" in Path("mine.yaml").read_text()
    status, _, err = tunesmith("init", template, "--out", template, "--force")
    assert status == 2


@pytest.mark.parametrize(
    ("arguments", "what", "hint"),
    [
        (["gpt_stf"], "there is no recipe `gpt_stf`", "did you mean `gpt_sft`?"),
        (["new.yaml", "--data", "d.csv"], "there is no recipe `new.yaml`", "--data d.csv --out new.yaml"),
        (["gpt_sft", "--data", "d.cvs"], "there is no data file `d.cvs`", "d.csv"),
        (
            ["gpt_sft", "--data", "d.csv"],
            "do not do for task `causal-lm` of recipe `gpt_sft`",
            "`resnet_digits`",
        ),
        (["--data", "numbers.csv"], "do not do for any task", "rename its columns"),
        (["--data", "empty.jsonl"], "no row of `empty.jsonl` can be read", ""),
        (["--data", "odd.xyz"], "says nothing about its format", ""),
    ],
)
def test_what_cannot_be_done_is_said(tunesmith: Command, arguments: list[str], what: str, hint: str):
    Path("d.csv").write_text("image,label\na.png,0\nb.png,1\nc.png,0\nd.png,1\n")
    Path("numbers.csv").write_text("n,m\n1,0.5\n2,-1.25\n")
    Path("empty.jsonl").write_text("")
    Path("odd.xyz").write_text("x")
    status, _, err = tunesmith("init", *arguments)
    assert status == 2
    assert what in err
    assert hint in err
    assert not list(Path().glob("*.yaml"))


def test_a_template_s_own_paths_still_lead_there(tunesmith: Command, template: Path):
    (template.parent / "base.yaml").write_text(TEMPLATE)
    template.write_text(f'{LAUNCH_LINE}\nextends: ./base.yaml\nbatch: {{size: 4}}\n# """\n')
    assert tunesmith("init", template, "--out", "here/new.yaml")[0] == 0
    assert load_recipe(Path("here/new.yaml")).batch.size == 4


def pictures(*classes: str) -> None:
    from PIL import Image

    for number, name in enumerate(classes):
        Path("pics", name).mkdir(parents=True)
        for shade in range(10):
            Image.new("RGB", (12, 12), (200 * number, shade * 20, 0)).save(Path("pics", name, f"{shade}.png"))


def table(path: str, rows: list[list[object]]) -> None:
    import csv

    with Path(path).open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def test_a_folder_of_pictures_becomes_a_recipe_that_can_be_looked_at(tunesmith: Command):
    pictures("cat", "dog")
    status, out, err = tunesmith("init", "pics", "--out", "r.yaml")
    assert "bytes" not in out
    assert status == 0, err
    recipe = load_recipe(Path("r.yaml"))
    assert recipe.task.name == "image-classification"
    assert (recipe.data.train[0].image, recipe.data.train[0].label) == ("image", "label")
    status, out, err = tunesmith("preview", "r.yaml", "-n", "1")
    assert status == 0, err
    assert "cat" in out or "dog" in out


def test_two_texts_are_joined_and_a_third_is_named(tunesmith: Command):
    pairs = [
        [f"the first {n}", f"another one {n}", f"note {n} of many", ["yes", "no"][n % 2]] for n in range(12)
    ]
    table("d.csv", [["sentence1", "sentence2", "remark", "label"], *pairs])
    status, out, _ = tunesmith("init", "d.csv", "--out", "r.yaml")
    assert status == 0
    assert load_recipe(Path("r.yaml")).data.train[0].text == "{sentence1} [SEP] {sentence2}"
    assert "`sentence1` and `sentence2` are joined" in out
    assert "left out, though it holds text: `remark`" in out


@pytest.mark.parametrize(
    ("first", "rest"),
    [
        (["ham", "come here at once"], ["spam", "buy this now"]),
        (["3.5", "a fine film"], ["1", "a bad one"]),
        (["0", "what a day it was"], ["1", "no day at all"]),
    ],
)
@pytest.mark.parametrize("name", ["d.csv", "d.tsv"])
def test_a_table_without_a_header_keeps_its_first_row(tunesmith: Command, name: str, first, rest):
    rows = [first, *[[[first, rest][n % 2][0], f"{rest[1]} number {n}"] for n in range(20)]]
    if name.endswith("tsv"):
        Path(name).write_text("".join("\t".join(row) + "\n" for row in rows))
    else:
        table(name, rows)
    status, out, _ = tunesmith("init", name, "--out", "r.yaml")
    assert status == 0
    assert "21 rows" in out
    assert "is a row, not a header" in out
    read = load_recipe(Path("r.yaml")).data.train[0]
    assert read.columns == ("column_1", "column_2")
    assert read.text == "column_2"
    assert tunesmith("check", "r.yaml")[0] == 0


def test_a_table_with_a_header_is_not_taken_for_one_without(tunesmith: Command):
    table(
        "d.csv",
        [["headline", "desk"], *[[f"what happened on day {n}", ["art", "law"][n % 2]] for n in range(12)]],
    )
    assert tunesmith("init", "d.csv", "--out", "r.yaml")[0] == 0
    assert load_recipe(Path("r.yaml")).data.train[0].columns is None


def test_nothing_of_the_shipped_recipe_s_own_data_stays(tunesmith: Command):
    table(
        "d.csv",
        [["text", "label"], *[[f"day {n} was fine", ["art", "law", "art"][n % 3]] for n in range(30)]],
    )
    for name in ("bert_classification", "gpt_sft"):
        assert tunesmith("init", name, "--data", "d.csv", "--out", f"{name}_mine.yaml")[0] == 0
        text = Path(f"{name}_mine.yaml").read_text()
        for gone in (
            "takes ",
            "reaches  ",
            "0.93",
            "0.85}",
            "full size",
            "pattern",
            "latin-1",
            "max_new_tokens: 6",
        ):
            assert gone not in text, gone
        assert "reaches 0.67; what is good enough for you?" in text
        assert "0.83" in text  # half-way between the commonest answer and all right
        load_recipe(Path(f"{name}_mine.yaml"))


def test_rows_that_may_be_too_long_do_not_end_the_recipe(tunesmith: Command):
    table("long.csv", [["text", "label"], *[["word " * 900 + str(n), "ab"[n % 2]] for n in range(12)]])
    table("short.csv", [["text", "label"], *[[f"word {n}", "ab"[n % 2]] for n in range(12)]])
    for name, wanted in (("long", "truncate"), ("short", "error")):
        assert tunesmith("init", f"{name}.csv", "--out", f"{name}.yaml")[0] == 0
        assert load_recipe(Path(f"{name}.yaml")).data.overflow == wanted


def test_the_rows_as_the_only_argument_are_the_rows(tunesmith: Command, template: Path):
    table("d.csv", [["text", "label"], *[[f"day {n}", "ab"[n % 2]] for n in range(12)]])
    before = Path("d.csv").read_bytes()
    assert tunesmith("init", "d.csv")[0] == 0
    assert Path("bert_classification.yaml").exists()
    status, _, err = tunesmith("init", "d.csv", "--out", "d.csv", "--force")
    assert status == 2
    assert "holds your rows" in err
    assert "--force" not in err
    assert tunesmith("init", "d.csv", "--data", "d.csv")[0] == 2
    assert Path("d.csv").read_bytes() == before


COLUMNS = ['"""', 'a"""b', "'''", "x\\", '"""; import os #', "two\nlines", "\x1b]0;x\x07"]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_of_any_name_leaves_the_recipe_a_program(tmp_path: Path, column: str) -> None:
    data, out = tmp_path / "rows.jsonl", tmp_path / "mine.yaml"
    rows = [{"text": f"some words of row {n}", column: "ab"[n % 2]} for n in range(8)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    start_recipe("bert_classification", data, out, force=False)
    assert is_launchable(out.read_text())
    train = load_recipe(out).data.train
    assert train is not None
    assert (train[0].text, train[0].label) == ("text", column)


def test_a_name_of_a_file_that_would_break_the_program_is_refused(tmp_path: Path) -> None:
    shipped = templates()["bert_classification"]
    (tmp_path / "recipes").mkdir()
    copy = tmp_path / "recipes" / shipped.name
    copy.write_text(shipped.read_text().replace("# ", f"# recipes/{shipped.name} ", 1))
    with pytest.raises(UserError, match="no program"):
        start_recipe(str(copy), None, tmp_path / 'a"""b.yaml', force=False)


def test_a_recipe_whose_task_has_settings_is_fitted_to_pairs_of_texts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        {"id": n, "anchor": f"how is {n}", "negative": f"no {n}", "positive": f"so {n}"} for n in range(60)
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "mine.yaml"
    start_recipe("embedding_minilm_japanese", tmp_path / "pairs.jsonl", out, force=False)
    made = load_recipe(tmp_path / "mine.yaml")
    assert made.task.name == "embedding"
    assert made.data.train[0].mapped == {"anchor": "anchor", "positive": "positive", "negative": "negative"}
    assert made.eval.metrics == ("recall_at_1",)

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.cli.templates import templates
from tunesmith.recipe.launchable import LAUNCH_LINE
from tunesmith.recipe.load import load_recipe

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
    assert recipe.task == "regression"
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

"""A task of one's own, from a file beside the recipe: the page that tells how is run as it stands."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tunesmith.errors import UserError
from tunesmith.prepare.preview import preview_rows
from tunesmith.recipe.dump import recipe_hash, to_yaml
from tunesmith.recipe.load import load_recipe
from tunesmith.tasks.own import with_own_task

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-task.md"
WORDS = ("cup", "plate", "spoon")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (code, _), (recipe,) = blocks("python"), blocks("yaml")
    assert code.count("\n") < 100
    (tmp_path / "counts.py").write_text(code)
    (tmp_path / "counts.yaml").write_text(recipe)
    rows = [
        {
            "text": " ".join(f"{n % k} {word}" for k, word in zip((2, 3, 4), WORDS, strict=True)),
            "target": n % 2 + n % 3,
        }
        for n in range(240)
    ]
    rows = [{**row, "text": f"{row['text']} on day {n}"} for n, row in enumerate(rows)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    yield tmp_path
    sys.modules.pop("counts", None)
    sys.path[:] = [entry for entry in sys.path if entry != str(tmp_path)]


@pytest.fixture
def tunesmith(launcher):
    """A command in a folder, in a process that is forked from a warm one."""

    def act(folder: Path, *arguments: str) -> SimpleNamespace:
        done = launcher.begin(*arguments, cwd=folder)
        return SimpleNamespace(returncode=done.wait(), stdout=done.out, stderr=done.err)

    return act


@pytest.mark.slow
def test_the_page_works_as_it_stands(tunesmith, folder: Path) -> None:
    shown = tunesmith(folder, "preview", "counts.yaml")
    assert "[·->·2.0]" in shown.stdout, shown.stderr
    done = tunesmith(folder, "run", "counts.yaml", "data.workers=1")
    assert done.returncode == 0, done.stderr[-2000:]
    run = folder / "runs" / "counts"
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    first = next(one for one in records if one["kind"] == "train")
    assert first["loss"] == pytest.approx(sum(first["parts"].values()))
    assert set(first["parts"]) == {"fit", "size"}
    measured = [one["metrics"] for one in records if one["kind"] == "eval"]
    assert measured[-1]["pearson"] > measured[0].get("pearson", 0.0)
    assert any("counts.py@" in one for one in json.loads((run / "environment.json").read_text())["own_code"])
    asked = tunesmith(folder, "evaluate", "runs/counts", "--data", "rows.jsonl")
    assert asked.returncode == 2
    assert "add `--task python:counts:Counts`" in asked.stderr
    named = tunesmith(
        folder, "evaluate", "runs/counts", "--data", "rows.jsonl", "--task", "python:counts:Counts"
    )
    assert named.returncode == 0, named.stderr[-2000:]
    assert "pearson" in named.stdout
    (folder / "asked.jsonl").write_text('{"text": "one cup, two plates"}\n')
    words = ("runs/counts", "--input", "asked.jsonl", "--output", "said.jsonl")
    answered = tunesmith(folder, "generate", *words, "--task", "python:counts:Counts")
    assert answered.returncode == 0, answered.stderr[-2000:]
    assert json.loads((folder / "said.jsonl").read_text())["output"] > 0


def test_a_check_does_not_call_it(tunesmith, folder: Path) -> None:
    (folder / "counts.py").write_text("raise SystemExit('called')")
    done = tunesmith(folder, "check", "counts.yaml")
    assert done.returncode == 0, done.stderr
    assert "`python:counts:Counts` is code, which is not called" in done.stdout + done.stderr


def test_its_settings_are_kept_and_typed(folder: Path) -> None:
    recipe = load_recipe(folder / "counts.yaml")
    assert "penalty: 0.001" in to_yaml(recipe)
    other = load_recipe(folder / "counts.yaml", ["task.penalty=0.1"])
    assert recipe_hash(recipe) != recipe_hash(other)
    assert with_own_task(recipe, folder).task.penalty == 0.001


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("task.penalty=much", "`task.penalty` must be a number; got `much`"),
        ("task.pennalty=1", "unknown key `task.pennalty`\nhint: did you mean `penalty`?"),
        ("task.name=python:count:Counts", "names no file in the recipe's folder"),
        ("task.name=python:counts:Count", "has no `Count`"),
        ("task.name=python:counts:torch", "something else than a `Task`"),
        ("eval.metrics=[accuracy]", "cannot give metric `accuracy`"),
        ("data.loss_on=all", "`data.loss_on` is for task `causal-lm`"),
        ("data.train.label=target", "has no field `label`"),
    ],
)
def test_what_does_not_fit_is_told(folder: Path, override: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        with_own_task(load_recipe(folder / "counts.yaml", [override]), folder)


def test_a_wrong_setting_is_told_with_its_line(folder: Path) -> None:
    """Of the key, not of the section; and of an override that there is no line of."""
    path = folder / "counts.yaml"
    text = path.read_text()
    path.write_text(text.replace("penalty:", "pennalty:"))
    assert path.read_text() != text
    line = next(n for n, one in enumerate(path.read_text().splitlines(), 1) if "pennalty:" in one)
    with pytest.raises(UserError, match=r"did you mean `penalty`\?") as caught:
        preview_rows(path)
    assert caught.value.where.startswith(f"{path}:{line}:")
    assert "pennalty" in caught.value.source
    path.write_text(text)
    with pytest.raises(UserError, match="must be a number") as caught:
        preview_rows(path, ["task.penalty=much"])
    assert caught.value.where == "override `task.penalty=much`"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("    spec: ClassVar = TaskSpec(", "    about: ClassVar = TaskSpec("), "declares nothing"),
        (("import torch\n", "import torch\n1 / 0\n"), "ZeroDivisionError: division by zero at"),
        (
            ("        encoder=True,\n", "        encoder=True,\n        couples=True,\n"),
            "does not give `coupled_loss`",
        ),
        (("    def loss(", "    coupled_loss = len\n\n    def loss("), "gives `coupled_loss`, and declares"),
    ],
)
def test_code_that_fails_is_blamed(folder: Path, change: tuple[str, str], message: str) -> None:
    code = (folder / "counts.py").read_text()
    assert change[0] in code
    (folder / "counts.py").write_text(code.replace(*change, 1))
    with pytest.raises(UserError, match=re.escape(message)):
        with_own_task(load_recipe(folder / "counts.yaml"), folder)


@pytest.fixture
def ranked(folder: Path) -> Path:
    with (folder / "counts.py").open("a") as file:
        file.write(blocks("python")[1])
    return folder


@pytest.mark.slow
def test_what_a_task_may_also_give_works_as_it_stands(tunesmith, ranked: Path) -> None:
    changes = ("task.name=python:counts:Ranked", "stop=[{budget: {steps: 40}}]", "run.threads=1")
    done = tunesmith(ranked, "run", "counts.yaml", *changes, "run.dir=ranked")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "each sample is compared with all 16 of its step" in done.stdout
    assert "240 examples, 240 computed" in done.stdout
    records = [json.loads(line) for line in (ranked / "ranked" / "metrics.jsonl").read_text().splitlines()]
    losses = [one["loss"] for one in records if one["kind"] == "train"]
    assert losses[-1] < 0.8 * losses[0]


def test_a_batch_of_one_has_nothing_to_compare(ranked: Path) -> None:
    recipe = load_recipe(ranked / "counts.yaml", ["task.name=python:counts:Ranked", "batch.size=1"])
    with pytest.raises(
        UserError, match=r"compares the samples of a batch with each other, and `batch\.size`"
    ):
        with_own_task(recipe, ranked)

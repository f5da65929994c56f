"""A recipe whose base model another recipe makes: that one is a recipe like any other, and runs first."""

import json
from pathlib import Path

import pytest

from tunesmith.cli.command import read_command
from tunesmith.errors import UserError
from tunesmith.prepare.base_model import PlannedRun, base_models_first
from tunesmith.recipe.load import load_recipe


@pytest.fixture
def chain(tmp_path, monkeypatch):
    """Three recipes, each of which starts from the model of the next."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n')
    sources = {"last": "sub/middle.yaml", "sub/middle": "../first.yaml", "first": "some/model"}
    for name, source in sources.items():
        path = tmp_path / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f"task: causal-lm\nmodel: {{source: {source}}}\n"
            f"data: {{train: {{source: {tmp_path}/rows.jsonl}}}}\n"
            "optimizer: {learning_rate: 0.1}\nbatch: {size: 1}\n"
            f"stop: [{{budget: {{steps: 1}}}}]\nrun: {{dir: runs/{path.stem}}}\n"
        )
    return tmp_path


def test_what_makes_the_base_model_stands_in_front(chain) -> None:
    (planned,) = read_command("last.yaml", []).recipes
    assert [one.source for one in planned] == [str(chain / "first.yaml"), str(chain / "sub/middle.yaml"), ""]
    assert [str(one.recipe.run.dir) for one in planned] == ["runs/first", "runs/middle", "runs/last"]
    assert [one.folder for one in planned] == [chain, chain / "sub", chain]


def test_a_finished_run_needs_no_recipe_of_its_base_model(chain) -> None:
    (chain / "runs" / "last").mkdir(parents=True)
    (chain / "runs" / "last" / "result.json").write_text(json.dumps({"status": "stopped"}))
    (chain / "first.yaml").unlink()
    (planned,) = read_command("last.yaml", []).recipes
    assert [one.source for one in planned] == [""]
    with pytest.raises(UserError, match=r"first\.yaml"):
        read_command("last.yaml", ["--accept-changes"])


def test_a_recipe_that_starts_from_itself_is_refused(chain) -> None:
    first = chain / "first.yaml"
    first.write_text(first.read_text().replace("some/model", "sub/middle.yaml"))
    with pytest.raises(UserError, match="starts from its own model"):
        base_models_first(PlannedRun(load_recipe(path := Path("last.yaml")), chain, file=path))

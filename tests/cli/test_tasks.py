"""``tunesmith tasks`` and the schema of one task."""

import json

import pytest
from typer.testing import CliRunner

from tunesmith.cli.main import app
from tunesmith.errors import UserError
from tunesmith.recipe.tasks.table import TASKS


def said(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.exception
    return done.output


def test_every_task_is_listed_with_its_rows_and_metrics() -> None:
    told = said("tasks")
    for name, spec in TASKS.items():
        assert f"{name}: {spec.summary}" in told
        assert spec.metrics[0] in told
    assert "rows      text and target (number)" in told
    assert "docs/adding-a-task.md" in told


@pytest.mark.parametrize("name", TASKS)
def test_the_settings_of_one(name: str) -> None:
    assert json.loads(said("schema", name))["properties"]["name"]["const"] == name


def test_a_task_that_is_none() -> None:
    done = CliRunner().invoke(app, ["schema", "regresion"])
    assert isinstance(done.exception, UserError)
    assert "did you mean `regression`?" in str(done.exception)

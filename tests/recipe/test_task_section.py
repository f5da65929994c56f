"""A task by its word or as a mapping; what each declares, and who may use which part of a recipe."""

from importlib import import_module
from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.recipe.dump import recipe_hash, to_yaml
from tunesmith.recipe.load import load_recipe
from tunesmith.recipe.tasks.fields import needs_of, questions_of, row_fields
from tunesmith.recipe.tasks.table import TASKS, spec_of
from tunesmith.recipe.tasks.text import RegressionSettings
from tunesmith.tasks.task import Task

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "recipes" / "smoke"


@pytest.mark.parametrize("name", TASKS)
def test_a_declaration_holds_together(name: str) -> None:
    spec = TASKS[name]
    module, _, attribute = spec.code.partition(":")
    assert issubclass(getattr(import_module(module), attribute), Task)
    assert set(spec.measured) <= set(spec.metrics)
    assert (ROOT / "recipes" / f"{spec.starter}.yaml").is_file()
    recipe = load_recipe(SMOKE / f"{name}.yaml")
    assert spec_of(recipe.task) is spec
    named = {field for rows in recipe.data.train for field in rows.mapped}
    assert named & set(row_fields(spec.row_schema)), "its smoke recipe maps its fields"
    assert needs_of(spec.row_schema)
    assert questions_of(spec.row_schema)


def test_a_word_is_a_mapping_with_that_name(tmp_path: Path) -> None:
    word = load_recipe(SMOKE / "regression.yaml")
    mapping = load_recipe(SMOKE / "regression.yaml", ["task={name: regression}"])
    assert word == mapping
    assert recipe_hash(word) == recipe_hash(mapping)
    assert to_yaml(mapping).startswith("task: regression\n")
    huber = load_recipe(SMOKE / "regression.yaml", ["task.loss=huber"])
    assert recipe_hash(huber) != recipe_hash(word)
    (tmp_path / "again.yaml").write_text(to_yaml(huber))
    assert load_recipe(tmp_path / "again.yaml") == huber


@pytest.mark.parametrize(
    ("override", "what", "hint"),
    [
        ("task=regresion", "`task` must be `causal-lm`", "did you mean `regression`?"),
        ("task={name: regresion}", "`task.name` must be `causal-lm`", "did you mean `regression`?"),
        ("task={nam: regression}", "`task.name` is missing", "add `name:`"),
        ("task={name: regression, huber: 1}", "unknown key `task.huber`", "did you mean `huber_delta`?"),
        ("task.zigzag=1", "unknown key `task.zigzag`", "keys here: huber_delta, loss, name"),
        ("task={name: regression, loss: huger}", "`task.loss` must be", "did you mean `huber`?"),
        (
            "task={name: sequence-classification, focal: -1}",
            "`task.focal` must be a number of at",
            "",
        ),
        ("task={name: sequence-classification, class_weights: even}", "`task.class_weights` must be", ""),
        ("task={name: image-classification, class_weights: {a: 0}}", "`task.class_weights.a`", "above 0"),
        ("task=[regression]", "`task` must be `causal-lm`", ""),
        ("task=3", "got 3", ""),
        ("task=sft", "`task` must be", "did you mean `causal-lm`?"),
        ("task=python:two words:A", "must be", ""),
    ],
)
def test_a_wrong_task_is_named_with_its_key(override: str, what: str, hint: str) -> None:
    with pytest.raises(UserError) as told:
        load_recipe(SMOKE / "regression.yaml", [override])
    assert what in str(told.value)
    assert hint in str(told.value)


def test_another_name_takes_the_settings_of_the_old_one_away(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        (SMOKE / "regression.yaml").read_text().replace("task: regression", "task: {name: python:a:A, b: 1}")
    )
    (tmp_path / "rows.py").write_text((SMOKE / "rows.py").read_text())
    (tmp_path / "next.yaml").write_text("extends: ./base.yaml\ntask: {name: regression}\n")
    assert load_recipe(tmp_path / "next.yaml").task == RegressionSettings()
    (tmp_path / "more.yaml").write_text("extends: ./base.yaml\ntask: {c: 2}\n")
    more = load_recipe(tmp_path / "more.yaml", ["task.b=3"]).task
    assert more.model_dump() == {"name": "python:a:A", "b": 3, "c": 2}

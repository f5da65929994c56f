"""Metrics from a file beside the recipe: functions and declarations, and whatever may be wrong with them."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.judge.statistics.example_scores import example_scores
from tunesmith.judge.statistics.intervals import metric_interval
from tunesmith.metrics.compute import find_metric, metric_value
from tunesmith.metrics.metric import AnsweredRow, answered
from tunesmith.prepare.check.inputs import check_inputs
from tunesmith.prepare.user_metrics import code_digest, load_user_metrics, own_code_files
from tunesmith.recipe.load import load_recipe
from tunesmith.report.compare.paired import compare_rows
from tunesmith.tasks.task import Scored

RECIPE = """\
task: sequence-classification
model: {{new: {{model_type: bert}}, tokenizer: {{train: {{vocab_size: 100}}}}}}
data: {{train: {{source: ./rows.jsonl, text: text, label: kind}}}}
optimizer: {{learning_rate: 1e-3}}
batch: {{size: 8}}
eval: {{metrics: [{metrics}]}}
"""
CODE = """\
from tunesmith.metrics.metric import Metric

calls = []


def cost(example):
    calls.append(example.id)
    return 0.0 if example.prediction == example.reference else 2.5


def fails(example):
    return 1 / 0


def says(example):
    return "much"


def _widest(examples):
    numbers = [float(example.prediction) for example in examples]
    return max(numbers) - min(numbers)


spread = Metric(name="spread", high=1e9, whole=_widest)
regret = Metric(name="regret_of_mine", better="min", each=lambda example: float(example.prediction))
lost = Metric(name="lost", better="min", each=float)
nothing = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch):
    """Writes the file and a recipe that names metrics of it; loads them, and gives their names."""
    module = f"mine_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{module}.py").write_text(CODE)
    (tmp_path / "rows.jsonl").write_text('{"text": "a", "kind": "b"}\n' * 9)

    def load(*names: str, loaded: bool = True):
        told = [f"python:{module}:{name}" for name in names]
        (tmp_path / "recipe.yaml").write_text(RECIPE.format(metrics=", ".join(map(repr, told))))
        recipe = load_recipe(tmp_path / "recipe.yaml")
        if loaded:
            load_user_metrics(recipe, tmp_path)
        return recipe, told[0], tmp_path / f"{module}.py"

    yield load
    sys.modules.pop(module, None)


ROWS = answered(["a", "b", "c", "d"], ["a", "b", "x", "y"])


def test_a_function_of_an_example_is_a_mean(own) -> None:
    _, name, _ = own("cost")
    assert metric_value(name, ROWS) == 1.25
    low, high = metric_interval(name, ROWS)
    assert low <= 1.25 <= high
    assert example_scores(name, 1, ROWS).totals == pytest.approx([0.0, 0.0, 2.5, 2.5])
    assert find_metric(name).better == "min"  # by its name


def test_what_it_gave_is_not_asked_for_again(own) -> None:
    _, name, file = own("cost")
    rows = [AnsweredRow("a", "b", id="1", given={name: 7.0})]
    assert metric_value(name, rows) == 7.0
    assert sys.modules[file.stem].calls == []


def test_a_function_of_all_examples_is_resampled(own) -> None:
    _, name, _ = own("spread")
    rows = answered([1.0, 2.0, 4.0, 8.0, 9.0] * 20, [0.0] * 100)
    assert metric_value(name, rows) == 8.0
    assert metric_interval(name, rows) == (8.0, 8.0)
    assert metric_interval(name, rows[:5]) == pytest.approx((1.0, 8.0), abs=2)
    assert example_scores(name, 1, rows[:5]).totals.tolist() == [12.0, 8.0, 8.0, 8.0, 12.0]
    assert example_scores(name, 1, rows * 11) is None  # each left out once would cost a million examples


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("fails", ("raised ZeroDivisionError: division by zero", ":12")),
        ("says", ("gave no number: ValueError: could not convert string to float: 'much'",)),
    ],
)
def test_an_exception_names_file_and_line(own, metric, words) -> None:
    _, name, file = own(metric)
    with pytest.raises(UserError) as caught:
        metric_value(name, ROWS)
    assert all(word in str(caught.value) for word in (*words, str(file)))


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("cots", "has no `cots`"),
        ("nothing", "has something else than a function or a `Metric` called `nothing`"),
        ("lost", "`python:MODULE:lost:min` wherever the recipe names it"),
        ("regret:max", "says `better: min`, and by its name it would be `max`"),
    ],
)
def test_what_is_no_metric_is_refused_before_anything_is_trained(own, metric, words) -> None:
    with pytest.raises(UserError) as caught:
        own(metric)
    assert words in str(caught.value).replace(own("cost")[2].stem, "MODULE")


def test_a_file_that_is_not_there_or_raises(own, tmp_path) -> None:
    recipe, _, file = own("cost", loaded=False)
    file.write_text("import math\nraise RuntimeError('no licence')\n")
    with pytest.raises(UserError, match=rf"raised RuntimeError: no licence at {file}:2"):
        load_user_metrics(recipe, tmp_path)
    file.unlink()
    with pytest.raises(UserError, match="names no file in the recipe's folder"):
        load_user_metrics(recipe, tmp_path)
    assert any("names no file" in problem.what for problem in check_inputs(recipe, tmp_path)[0])


def test_a_check_runs_no_code_and_says_so(own, tmp_path) -> None:
    recipe, name, file = own("cost", loaded=False)
    assert f"`{name}` is code, which is not called" in check_inputs(recipe, tmp_path)[1]
    assert file.stem not in sys.modules


def test_without_its_recipe_it_does_not_run() -> None:
    with pytest.raises(UserError, match="has not been loaded"):
        find_metric("python:nobody_loaded_this:cost")


def test_the_file_is_part_of_what_a_run_is(own, tmp_path) -> None:
    recipe, _, file = own("cost", "spread", loaded=False)
    before = code_digest(recipe, tmp_path)
    assert list(own_code_files(recipe, tmp_path)) == [file.name]
    file.write_text(f"{CODE}# changed\n")
    assert code_digest(recipe, tmp_path) != before
    plain = recipe.model_copy(update={"eval": recipe.eval.model_copy(update={"metrics": ("accuracy",)})})
    assert code_digest(plain, tmp_path) == ""


def test_two_runs_are_compared_by_what_it_gave_without_running_it() -> None:
    name = "python:nobody_loaded_this:cost"
    runs = [[Scored(f"{n}", 0.0, 1, 1, "a", "a", "", {name: n % 3 + shift}) for n in range(40)]
            for shift in (0.0, 1.0)]  # fmt: skip
    found = compare_rows(name, *runs)
    assert (found.difference, found.better, found.worse) == (1.0, 0, 40)
    assert found.p_value < 0.01
    with pytest.raises(ValueError, match="cannot be made of"):
        compare_rows(name, *([Scored("1", 0.0, 1, 1, "a", "a", "")],) * 2)


@pytest.mark.parametrize("name", ["python:mine", "python:mine:", "python:mine:cost:less", "python:../a:cost"])
def test_a_name_that_is_none_is_refused_at_its_line(tmp_path, name) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(metrics=repr(name)))
    with pytest.raises(UserError, match=r"recipe.yaml:6:18: `python:.*` names no metric of your own"):
        load_recipe(tmp_path / "recipe.yaml")


def test_a_value_that_is_not_a_number_stays_visible(own) -> None:
    _, name, _ = own("cost")
    rows = [*ROWS, AnsweredRow("a", "a", given={name: math.nan})]
    assert math.isnan(metric_value(name, rows))
    assert metric_interval(name, rows) is None

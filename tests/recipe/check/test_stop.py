"""Stop rules that cannot mean what their author means; each says so before training, with its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipe.dump import to_yaml
from tunesmith.recipe.load import load_recipe
from tunesmith.recipe.schema.eval import Eval
from tunesmith.recipe.schema.stop import Plateau, StopRule, binding, leaves, paths

CONSTANT = "optimizer: {learning_rate: 1e-3, schedule: constant}"


def recipe(good: str, stop: str, more: str = "", *, constant: bool = False) -> str:
    text = good.replace("optimizer: {learning_rate: 1e-3}", CONSTANT) if constant else good
    return f"{text}{more}stop:\n{stop}"


WRONG = [
    ("  - {target: {loss: 0.5}, any: []}", "exactly one of"),
    ("  - any: [{target: {loss: 0.5}}]", "`any` joins at least two rules"),
    ("  - all: []", "`all` joins at least two rules"),
    ("  - any: [{target: {loss: 0.5}}, {target: {f2: 0.5}}]", "unknown metric `f2`"),
    ("  - all: [{target: {f1: 85}}, {plateau: {}}]", "can never be reached"),
    ("  - {plateau: {}, sure: 0.9}", "`sure` beside a rule belongs to a `target`"),
    ("  - {budget: {steps: 5}, confirm: 2}", "`confirm` beside a rule belongs to a `target`"),
    ("  - {target: {loss: 1}, confirm: 1}", "must be a whole number above 1"),
    ("  - {target: {loss: 1}, sure: 40%}", "`stop.0.sure` must be a share such as `0.95` or `95%`"),
    ("  - {target: {loss: 1}, missing: ignore}", "must be `unknown` or `error`"),
    ("  - plateau: {patience: soon}", "must be a number of evaluations, or such as `2 epochs`"),
    ("  - plateau: {patience: 2.5}", "must be a number of evaluations"),
    ("  - plateau: {patience: auto}", "must be a number of evaluations"),
    ("  - plateau: {patience: 0}", "must be a number of evaluations"),
    ("  - plateau: {patience: 0%}", "must be a number of evaluations"),
    ("  - guard: {max_drop: 0.1}", "`stop.0.guard.metric` is missing"),
    ("  - guard: {metric: f1, max_drop: 1}", "no drop of `f1` can reach `max_drop` 1"),
    ("  - guard: {metric: accuracy, max_drop: 0.1}", "task `causal-lm` cannot give metric `accuracy`"),
    ("  - overfitting: {unless_gaining: loss}", "names the metric that the rule itself looks at"),
    ("  - overfitting: {unless_gaining: acuracy}", "unknown metric `acuracy`"),
    ("  - overfitting: {metric: los}", "unknown metric `los`"),
    ("  - forecast: {min_gain: 0.01}", "a forecast reads the curve, and schedule `cosine` bends it"),
    ("  - budget: {money: 5}", "`money` needs `price`"),
    ("  - budget: {steps: 5, price: 2}", "`price` needs `money`"),
    ("  - budget: {steps: 5, power: 2}", "`power` needs `energy`"),
    ("  - budget: {price: 5}", "a budget without a limit"),
    ("  - budget: {energy: 5 miles}", "must be an energy such as `500 Wh`"),
]


@pytest.mark.parametrize(("stop", "words"), WRONG, ids=[stop.strip() for stop, _ in WRONG])
def test_what_cannot_work_is_said(stop: str, words: str, message: Callable[..., str], good: str) -> None:
    assert words in message(recipe(good, stop))


CONSTANT_WRONG = [
    ("  - forecast: {}", "a forecast without a question"),
    ("  - forecast: {worth: 5}", "`worth` needs `price`"),
    ("  - forecast: {price: 5}", "`price` needs `worth`"),
    ("  - forecast: {metric: f1, target: 85}", "`f1` never is 85"),
    ("  - forecast: {metric: f1, min_gain: 1}", "`stop.0.forecast.min_gain` must be a share"),
]


@pytest.mark.parametrize(("stop", "words"), CONSTANT_WRONG, ids=[stop.strip() for stop, _ in CONSTANT_WRONG])
def test_a_forecast_that_cannot_work(stop: str, words: str, message: Callable[..., str], good: str) -> None:
    assert words in message(recipe(good, stop, constant=True))


EVERY = "eval: {every: 20 steps}\n"
NEVER = [
    ("plateau: {patience: 6}", "needs 120 steps, and the budget ends at 100"),
    ("plateau: {patience: 200 steps}", "needs 200 steps"),
    ("overfitting: {looks: 9}", "needs 180 steps"),
    ("forecast: {min_gain: 0.1, after: 7}", "needs 120 steps"),
]


@pytest.mark.parametrize(("rule", "words"), NEVER)
def test_a_rule_that_can_never_fire(rule: str, words: str, message: Callable[..., str], good: str) -> None:
    stop = f"  - {rule}\n  - budget: {{steps: 100}}"
    shown = message(recipe(good, stop, EVERY, constant=True))
    assert "this can never fire" in shown
    assert words in shown


def test_a_confirmation_that_takes_longer_than_the_run(message: Callable[..., str], good: str) -> None:
    stop = "  - {target: {loss: 1}, confirm: 7}\n  - budget: {steps: 100}"
    assert "needs 120 steps" in message(recipe(good, stop, EVERY))


RIGHT = [
    "  - plateau: {patience: 5}\n  - budget: {steps: 100}",  # fires together with the budget, at worst
    "  - plateau: {patience: 3 epochs}\n  - budget: {steps: 100}",  # another unit: nobody knows here
    "  - plateau: {patience: 6}\n  - all: [{budget: {steps: 100}}, {target: {loss: 1}}]",
    "  - plateau: {patience: 50%, sure: 95%}",
    "  - {target: {loss: 1}, sure: 95%, confirm: 2, missing: error}",
    "  - overfitting: {worse_by: 1%, progress: 0.5, strip: 4, unless_gaining: f1}",
    "  - guard: {metric: f1, max_drop: 0.02}",
    "  - any: [{target: {f1: 0.9}}, {all: [{plateau: {}}, {budget: {steps: 50}}]}]\n  - budget: {epochs: 2}",
    "  - budget: {epochs: 2, energy: 2 kWh, power: 350, money: 20, price: 2.49}",
]


@pytest.mark.parametrize("stop", RIGHT)
def test_what_can_work_is_taken_and_written_back_the_same(
    stop: str, write: Callable[..., Path], good: str
) -> None:
    loaded = load_recipe(write(recipe(good, stop, EVERY)))
    written = to_yaml(loaded)
    assert load_recipe(write(written, "again.yaml")).stop == loaded.stop


def test_auto_is_a_way_to_evaluate_and_none_to_save(
    write: Callable[..., Path], message: Callable[..., str], good: str
) -> None:
    loaded = load_recipe(write(good + "eval: {every: auto, subset: auto, cluster: page}\n"))
    assert loaded.eval.every.auto
    assert str(loaded.eval.every) == "auto"
    assert load_recipe(write(to_yaml(loaded), "again.yaml")).eval == loaded.eval
    assert "`run.save_every: auto` means nothing" in message(good + "run: {save_every: auto}\n")


@pytest.mark.parametrize(
    ("written", "count", "unit"),
    [
        (3, 3, "evaluations"),
        ("50%", 50, "percent"),
        ("12.5 %", 12.5, "percent"),
        ("2 epochs", 2, "epochs"),
        ("12 bits", 12, "bits"),
        ("1 epoch", 1, "epochs"),
        ("1e5 tokens", 100_000, "tokens"),
    ],
)
def test_patience_is_read_aloud(written: int | str, count: float, unit: str) -> None:
    patience = Plateau.model_validate({"patience": written}).patience
    assert (patience.count, patience.unit) == (count, unit)
    assert Plateau.model_validate({"patience": patience.plain()}).patience == patience


ONE = st.sampled_from([{"plateau": {}}, {"target": {"loss": 1.0}}, {"budget": {"steps": 5}}])
NESTED = st.recursive(
    ONE, lambda inner: st.builds(lambda kind, m: {kind: m}, st.sampled_from(["any", "all"]), st.lists(inner))
)


@given(st.lists(NESTED, max_size=4))
def test_leaves_paths_and_binding_agree(plain: list[dict]) -> None:
    rules = tuple(StopRule.model_validate(one) for one in plain)
    assert [rule for _, rule in paths(rules)] == list(leaves(rules))
    assert all(rule.any is None and rule.all is None for rule in leaves(rules))
    inside_all = [path for path, _ in paths(rules) if "all" in path]
    assert len(list(binding(rules))) == len(list(leaves(rules))) - len(inside_all)
    for path, rule in paths(rules):
        found: object = {"stop": plain}
        for part in path:
            found = found[part]  # type: ignore[index]
        assert StopRule.model_validate(found) == rule


def test_the_defaults_stay_what_they_were() -> None:
    assert Eval().subset == "all"
    assert Eval().cluster is None
    assert str(Eval().every) == "1 epoch"
    assert Plateau().patience.plain() == 3
    assert StopRule.model_validate({"plateau": {}}).model_dump(exclude_none=True) == {
        "plateau": {"metric": "loss", "patience": 3, "min_gain": 0.0}
    }

"""What recipes do differently: keys and values, whatever stands in them."""

from tunesmith.report.compare.recipes import MOST_KEYS, differences_of

ONE = {
    "task": "causal-lm",
    "run": {"dir": "runs/one", "seed": 0},
    "optimizer": {"learning_rate": 0.001, "betas": [0.9, 0.99]},
    "stop": [{"target": {"f1": 0.8}}, {"budget": {"epochs": 3}}],
    "eval": {"metrics": ["f1"]},
}


def test_keys_that_differ_with_their_values() -> None:
    other = {
        **ONE,
        "run": {"dir": "runs/two", "seed": 1},
        "optimizer": {"learning_rate": 0.0003, "betas": [0.9, 0.999], "fused": True},
        "stop": [{"target": {"f1": 0.9}}],
    }
    found = differences_of([ONE, other])
    assert found.rows == (
        ("run.seed", ("0", "1")),
        ("optimizer.learning_rate", ("0.001", "0.0003")),
        ("optimizer.betas", ("0.9, 0.99", "0.9, 0.999")),
        ("stop.0.target.f1", ("0.8", "0.9")),
        ("stop.1.budget.epochs", ("3", "not set")),
        ("optimizer.fused", ("not set", "true")),
    )
    assert found.told == ""


def test_what_is_absent_and_what_is_empty_are_one() -> None:
    assert differences_of([ONE, {**ONE, "tune": None, "tags": []}]).rows == ()
    assert differences_of([ONE, ONE]).told == "The recipes say the same."


def test_a_recipe_that_cannot_be_read_is_said() -> None:
    found = differences_of([ONE, {}, {**ONE, "task": "regression"}])
    assert found.rows == (("task", ("causal-lm", "unknown", "regression")),)
    assert found.told == "The recipe of some run cannot be read."
    assert differences_of([ONE, {}]).told == "The recipe of some run cannot be read."


def test_very_many_keys_are_counted() -> None:
    found = differences_of([{f"k{n}": 0 for n in range(99)}, {f"k{n}": 1 for n in range(99)}])
    assert len(found.rows) == MOST_KEYS
    assert found.told == f"{99 - MOST_KEYS} more keys differ."


def test_a_recipe_that_holds_itself_comes_to_an_end() -> None:
    circle: dict[str, object] = {}
    circle["again"] = circle
    assert len(differences_of([circle, ONE]).rows) <= MOST_KEYS

from __future__ import annotations

import pytest

from tunesmith.judge.check import check_rules
from tunesmith.recipe.schema import StopRule

MEASURED = ("loss", "exact_match", "accuracy", "perplexity", "pearson", "mse")


def problems(*each: dict) -> list:
    return check_rules([StopRule.model_validate(rule) for rule in each], MEASURED)


@pytest.mark.parametrize(
    ("rule", "path", "what", "hint"),
    [
        (
            {"target": {"exact_mach": 0.8}},
            ("target", "exact_mach"),
            "does not measure",
            "did you mean `exact_match`?",
        ),
        ({"target": {"bleu": 0.3}}, ("target", "bleu"), "does not measure", "`eval.metrics`"),
        ({"target": {"accuracy": 85}}, ("target", "accuracy"), "between 0 and 1", "`accuracy: 0.85`"),
        ({"target": {"accuracy": 1.01}}, ("target", "accuracy"), "never be reached", ""),
        ({"target": {"accuracy": 850}}, ("target", "accuracy"), "never be reached", "between 0 and 1"),
        ({"target": {"loss": -1}}, ("target", "loss"), "never be reached", "never below 0"),
        ({"target": {"perplexity": 0.85}}, ("target", "perplexity"), "never be reached", "never below 1"),
        ({"target": {"pearson": 90}}, ("target", "pearson"), "between -1 and 1", "`pearson: 0.9`"),
        ({"target": {"accuracy": 0}}, ("target", "accuracy"), "met by every model", "more is better"),
        ({"target": {"pearson": -2}}, ("target", "pearson"), "met by every model", "more is better"),
        ({"target": {}}, ("target",), "without a metric", ""),
        ({"plateau": {"metric": "los"}}, ("plateau", "metric"), "does not measure", "`loss`"),
        ({"plateau": {"metric": "accuracy", "min_gain": 5}}, ("plateau", "min_gain"), "every run", "0.05"),
    ],
)
def test_a_rule_that_cannot_work(rule, path, what, hint) -> None:
    (problem,) = problems({"budget": {"steps": 5}}, rule)
    assert problem.path == ("stop", 1, *path)
    assert what in problem.what
    assert hint in problem.hint


def test_divergence_needs_a_loss() -> None:
    (problem,) = check_rules([StopRule.model_validate({"divergence": {}})], ["accuracy"])
    assert problem.path == ("stop", 0, "divergence")


@pytest.mark.parametrize(
    "rule",
    [
        {"target": {"accuracy": 1.0}},
        {"target": {"accuracy": 0.85, "loss": 0.5}},
        {"target": {"pearson": -0.5}},
        {"target": {"mse": 85}},
        {"target": {"loss": 0.0}},
        {"plateau": {}},
        {"plateau": {"metric": "mse", "min_gain": 5}},
        {"divergence": {}},
        {"budget": {"epochs": 1}},
    ],
)
def test_rules_that_can_work(rule) -> None:
    assert problems(rule) == []


def test_all_problems_are_found_at_once() -> None:
    assert len(problems({"target": {"nonsense": 1, "accuracy": 85}}, {"plateau": {"metric": "f1"}})) == 3


def test_metrics_of_the_hub_are_taken_at_their_word() -> None:
    rule = StopRule.model_validate({"target": {"hub:wer": 85}})
    assert check_rules([rule], ["hub:wer"]) == []

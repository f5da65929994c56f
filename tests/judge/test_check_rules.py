from __future__ import annotations

import pytest

from tunesmith.judge.check_rules import check_evidence, check_rules
from tunesmith.recipe.schema.stop import StopRule

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
    rule = StopRule.model_validate({"target": {"hub:wer@0123456789abcdef0123456789abcdef01234567": 85}})
    assert check_rules([rule], ["hub:wer@0123456789abcdef0123456789abcdef01234567"]) == []


@pytest.mark.parametrize(
    ("rule", "path", "what"),
    [
        ({"overfitting": {"metric": "f1"}}, ("overfitting", "metric"), "does not measure"),
        ({"overfitting": {"unless_gaining": "f1"}}, ("overfitting", "unless_gaining"), "does not measure"),
        ({"forecast": {"metric": "f1", "min_gain": 0.1}}, ("forecast", "metric"), "does not measure"),
        ({"forecast": {"metric": "accuracy", "target": 85}}, ("forecast", "target"), "never be reached"),
        ({"guard": {"metric": "f1", "max_drop": 0.1}}, ("guard", "metric"), "does not measure"),
    ],
)
def test_the_newer_rules_are_checked_too_inside_any_and_all(rule, path, what) -> None:
    (problem,) = problems({"any": [{"budget": {"steps": 5}}, {"all": [rule, {"plateau": {}}]}]})
    assert problem.path == ("stop", 0, "any", 1, "all", 0, *path)
    assert what in problem.what


@pytest.mark.parametrize(
    ("target", "sure", "examples", "enough"),
    [
        ({"accuracy": 0.85}, "95%", 400, True),
        ({"accuracy": 0.99}, "95%", 100, False),  # 0.99 ** 100 = 0.37
        ({"accuracy": 0.99}, "95%", 400, True),
        ({"exact_match": 0.5}, "95%", 5, False),
        ({"exact_match": 0.5}, "95%", 6, True),  # 0.5 ** 6 = 0.016 < 0.03
        ({"loss": 0.1}, "95%", 2, True),  # nothing is known of it before it is measured
        ({"accuracy": 0.99}, None, 2, True),
    ],
)
def test_a_target_that_so_few_examples_never_make_sure_of(target, sure, examples, enough) -> None:
    found = check_evidence([StopRule.model_validate({"target": target, "sure": sure})], examples)
    assert (found == []) == enough
    for problem in found:
        wanted = int(problem.hint.split()[2].replace(",", ""))
        assert check_evidence([StopRule.model_validate({"target": target, "sure": sure})], wanted) == []

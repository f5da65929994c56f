from __future__ import annotations

import pytest

from tunesmith.judge.explain import rules_in_words
from tunesmith.recipe.schema.stop import StopRule


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"target": {"exact_match": 0.85}}, "target: exact_match 0.85"),
        ({"target": {"loss": 1}, "sure": "95%", "confirm": 2}, "target: loss 1.0, sure 0.95, confirm 2"),
        ({"plateau": {"patience": "50%"}}, "plateau: metric loss, patience 50%, min_gain 0.0"),
        ({"budget": {"epochs": 3, "time": "10m"}}, "budget: epochs 3.0, time 600.0"),
        (
            {"all": [{"budget": {"steps": 5}}, {"any": [{"target": {"f1": 1}}, {"divergence": {}}]}]},
            "all of (budget: steps 5; any of (target: f1 1.0; divergence: factor 1.5))",
        ),
        ({"target": {"f1": 1}, "missing": "error"}, "target: f1 1.0, missing error"),
    ],
)
def test_rules_are_read_aloud(rule, words) -> None:
    assert rules_in_words([StopRule.model_validate(rule)]) == (words,)

"""Lines of the journal as a tracker takes them."""

import pytest

from tunesmith.live.trackers.values import settings_of, tracker_values

STEP = {"kind": "train", "step": 3, "loss": 0.5, "loss_hex": "0x1p-1", "grad_norm": None, "samples": "ab"}
EVALUATION = {
    "kind": "eval",
    "step": 20,
    "metrics": {"loss": 1.5, "accuracy[lang=de]": 0.5, "pearson": None},
    "intervals": {"loss": [1.25, 1.75]},
    "examples": 64,
    "verdict": {"decision": "continue", "rule": "", "reason": "loss 1.5"},
}


@pytest.mark.parametrize(
    ("record", "values"),
    [
        (STEP, {"train/loss": 0.5}),
        (
            EVALUATION,
            {
                "eval/loss": 1.5,
                "eval/accuracy_lang_de_": 0.5,
                "eval/loss_low": 1.25,
                "eval/loss_high": 1.75,
                "eval/examples": 64.0,
                "verdict": "continue: loss 1.5",
            },
        ),
        ({"kind": "resume", "step": 20}, {}),
        ({"step": 20}, {}),
        ({"kind": "eval", "step": 0}, {}),
    ],
)
def test_values(record, values) -> None:
    assert tracker_values(record) == values


def test_settings_are_flat() -> None:
    recipe = {"task": "causal-lm", "optimizer": {"learning_rate": 0.1}, "stop": [{"budget": {"steps": 3}}]}
    assert settings_of(recipe) == {
        "task": "causal-lm",
        "optimizer.learning_rate": 0.1,
        "stop": "[{'budget': {'steps': 3}}]",
    }

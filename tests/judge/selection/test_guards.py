"""What a guard bars is said at once, early when nothing can be kept, and at the end; and is no success."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tunesmith.judge.decide import decide
from tunesmith.judge.explain import explain_verdict
from tunesmith.judge.measurement import measurement_from_plain, measurement_to_plain
from tunesmith.judge.notes import notes
from tunesmith.judge.selection.best import best_index
from tunesmith.judge.selection.deciding_metric import choice_words, choosing, few_rows_words
from tunesmith.judge.selection.delivered import Delivered
from tunesmith.recipe.schema.stop import StopRule


def rules(*each: dict) -> tuple[StopRule, ...]:
    return tuple(StopRule.model_validate(rule) for rule in each)


GUARD = {"guard": {"metric": "talk/loss", "max_drop": 0.5}}
RULES = rules({"target": {"exact_match": 0.7}}, GUARD, {"budget": {"steps": 80}})


@pytest.fixture
def forgetting(make_measurement):
    """What is asked for climbs, and what must not be forgotten is forgotten, though not surely."""

    def forgetting(*talk: float | None):
        climb = (0.0, 0.3, 0.5, 0.6, 0.72, 0.72, 0.72)
        return tuple(
            replace(
                make_measurement(20 * n, loss=1.0, exact_match=score),
                metrics={"loss": 1.0, "exact_match": score} | ({} if now is None else {"talk/loss": now}),
                intervals={"talk/loss": (0.0, 99.0)},
            )
            for n, (score, now) in enumerate(zip(climb, talk, strict=False))
        )

    return forgetting


def test_a_barred_evaluation_says_so_at_once(forgetting) -> None:
    assert notes(forgetting(4.92, 5.2), RULES) == []
    (note,) = notes(forgetting(4.92, 5.2, 5.5), RULES)
    assert note == (
        "these weights cannot be kept, barred by the guard on talk/loss: 5.50 against 4.92, "
        "at most 0.50 worse"
    )
    (note,) = notes(forgetting(4.92, 5.2, None), RULES)
    assert "the guard on talk/loss: no value against 4.92" in note


def test_what_a_guard_bars_meets_no_target(forgetting) -> None:
    barred, free = forgetting(4.92, 5.5, 5.5, 5.5, 5.5), forgetting(4.92, 5.0, 5.0, 5.0, 5.0)
    assert decide(free, RULES[:2]).rule == "target"
    assert not decide(barred, RULES[:2]).stop
    joined = rules({"any": [{"target": {"exact_match": 0.7}}, {"budget": {"steps": 500}}]}, GUARD)
    assert not decide(barred, joined).stop


def test_when_nothing_can_be_kept_any_more_it_is_said_early_and_not_each_time(forgetting) -> None:
    history = forgetting(4.92, 5.5, 5.5, 5.5, 5.6, 5.6, 5.6)
    said = [len(notes(history[: n + 1], RULES)) for n in range(len(history))]
    assert said == [0, 1, 1, 2, 1, 1, 2]
    _, early = notes(history[:4], RULES)
    assert early.startswith(
        "3 evaluations in a row are barred: unless talk/loss comes back to 5.42 or less, nothing after step 0"
    )
    came_back = forgetting(4.92, 5.5, 5.5, 5.0, 5.6, 5.6, 5.6)
    assert "nothing after step 60 is kept" in notes(came_back, RULES)[1]


def test_the_end_says_what_was_barred_and_by_how_much(forgetting) -> None:
    history = forgetting(4.92, 5.5, 5.5, 5.5, 5.5)
    text = explain_verdict(history, decide(history, RULES), RULES)
    assert "The weights kept are those from before training (step 0)." in text
    assert (
        "The best by exact_match is step 80 with 0.72, barred by the guard on talk/loss: 5.50 against 4.92, "
        "at most 0.50 worse." in text
    )
    free = forgetting(4.92, 5.0, 5.0, 5.0, 5.0)
    assert "barred" not in explain_verdict(free, decide(free, RULES), RULES)


def test_a_guard_with_nothing_to_compare_with_bars_nothing(forgetting) -> None:
    history = forgetting(None, 5.5, 5.5, 5.5, 5.5)
    assert notes(history, RULES) == []
    assert best_index(history, RULES) == 4


def test_weights_that_are_gone_are_not_kept_and_named(forgetting) -> None:
    history = forgetting(4.92, 5.0, 5.0, 5.0, 5.0)
    history = (*history[:4], replace(history[4], lost=True))
    assert best_index(history, RULES) == 3
    assert best_index(tuple(replace(one, lost=True) for one in history), RULES) == 0
    assert measurement_from_plain(measurement_to_plain(history[4])) == history[4]
    text = explain_verdict(history, decide(history, RULES), RULES)
    assert "The best by exact_match is step 80 with 0.72, whose weights are gone" in text
    assert "those of step 60" in text


def test_what_is_said_is_of_the_weights_that_were_written(forgetting) -> None:
    """Measured on all rows, or an average."""
    history = forgetting(4.92, 5.0, 5.0, 5.0, 5.0)
    part = tuple(replace(one, examples=64, of=400) for one in history)
    whole = replace(history[4], metrics={**history[4].metrics, "exact_match": 0.66})
    text = explain_verdict(part, decide(part, RULES), RULES, Delivered(measurement=whole))
    assert "exact_match went from 0.00 (over 64 of 400 rows) before the first step to 0.66" in text
    mean = Delivered(measurement=whole, average="ema")
    assert "The weights kept" not in explain_verdict(history, decide(history, RULES), RULES, mean)
    assert mean.weights == "an average, ema"


def test_a_target_that_was_met_before_training_asks_for_nothing(make_series) -> None:
    easy = rules({"target": {"exact_match": 0.5}, "confirm": 2})
    history = make_series("exact_match", 0.6)
    said = "the target exact_match 0.50 asks for nothing: exact_match was 0.60 before the first step"
    assert notes(history, easy)[0].startswith(said)
    assert notes(make_series("exact_match", 0.4), easy) == []
    longer = make_series("exact_match", 0.6, 0.7)
    assert notes(longer, easy) == []
    assert f"T{said[1:]}" in explain_verdict(longer, decide(longer, easy), easy)


@pytest.mark.parametrize(
    ("stop", "words"),
    [
        ((), "the best loss, since no rule names another metric"),
        (
            ({"budget": {"steps": 1}}, {"any": [{"plateau": {"metric": "f1"}}, GUARD]}),
            "the best f1, which the plateau names (stop.1.any.0.plateau)",
        ),
        (
            ({"plateau": {}}, {"target": {"bleu": 0.3}}),
            "the best bleu, which the target names (stop.1.target)",
        ),
    ],
)
def test_by_what_the_weights_are_chosen_and_from_which_rule(stop, words) -> None:
    assert choice_words(choosing(rules(*stop))) == words


def test_a_choice_that_rests_on_few_rows() -> None:
    assert "worst/accuracy over 50 rows only, where a share is known to about 0.14" in few_rows_words(
        "worst/accuracy", 50
    )
    assert few_rows_words("accuracy", 100) == few_rows_words("accuracy", None) == ""

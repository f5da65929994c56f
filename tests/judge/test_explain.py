from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tunesmith.judge.decide import decide
from tunesmith.judge.explain import explain_verdict
from tunesmith.judge.measurement import Verdict
from tunesmith.numbers import show
from tunesmith.recipe.schema.stop import StopRule

TARGET = (StopRule(target={"exact_match": 0.85}), StopRule.model_validate({"budget": {"steps": 60}}))


def test_a_target_that_was_reached(make_series) -> None:
    history = make_series("exact_match", 0.02, 0.71, 0.86)
    history = (*history[:-1], replace(history[-1], intervals={"exact_match": (0.824, 0.891)}))
    assert explain_verdict(history, decide(history, TARGET), TARGET) == (
        "The model is good enough: exact_match 0.86 reached 0.85 at step 40. "
        "exact_match went from 0.02 before the first step to 0.86 "
        "(95 % interval 0.824 to 0.891 over 400 examples) in 40 steps and 40 s. "
        "The weights kept are the last ones, of step 40. "
        "The interval of exact_match also holds values short of 0.85; "
        "more evaluation rows would make this surer."
    )


def test_a_budget_that_ran_out_says_what_was_missed_and_which_weights_are_kept(make_series) -> None:
    history = make_series("exact_match", 0.02, 0.71, 0.80, 0.75)
    text = explain_verdict(history, decide(history, TARGET), TARGET)
    assert text.startswith("The budget is spent: the budget of 60 steps is spent at step 60.")
    assert "those of step 40, not the last ones of step 60" in text
    assert text.endswith("The target was not reached: exact_match 0.85 or more.")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            (0.5, 0.4, 0.3, 0.2),
            "nothing was gained. The weights kept are those from before training (step 0).",
        ),
        ((math.nan,) * 4, "No finite value of exact_match was ever measured."),
        ((math.nan, 0.2, 0.3, 0.3), "Against the baseline (exact_match unknown) nothing was gained."),
    ],
)
def test_runs_without_a_gain(values, words, make_series) -> None:
    history = make_series("exact_match", *values)
    assert words in explain_verdict(history, decide(history, TARGET), TARGET)


def test_a_run_without_a_baseline(make_series) -> None:
    history = make_series("exact_match", 0.02, 0.86)[1:]
    assert "no baseline was measured" in explain_verdict(history, decide(history, TARGET), TARGET)


def test_a_breakdown_keeps_the_last_sound_weights(make_series) -> None:
    history = make_series("loss", 2.0, 1.0, math.nan)
    text = explain_verdict(history, decide(history, ()), ())
    assert text.startswith("Training broke down: evaluation loss is nan at step 40.")
    assert "those of step 20" in text


def test_a_run_that_was_cut_short(make_series) -> None:
    going_on = Verdict(decision="continue", rule="", reason="exact_match 0.50 of 0.85")
    assert explain_verdict(make_series("exact_match", 0.1, 0.5), going_on, TARGET).startswith(
        "The run ended before a rule said so: exact_match 0.50 of 0.85."
    )
    unknown = Verdict(decision="unknown", rule="target", reason="exact_match is nan at step 20")
    assert "without a judgement by `target`" in explain_verdict((), unknown, TARGET)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.85, "0.85"),
        (0.8525, "0.853"),
        (1.0, "1.00"),
        (0, "0.00"),
        (12.345, "12.35"),
        (0.0123, "0.0123"),
        (3.14e-5, "3.1e-05"),
        (-0.5, "-0.50"),
        (123456.0, "1.2e+05"),
        (math.inf, "inf"),
    ],
)
def test_numbers_for_people(value, text) -> None:
    assert show(value) == text

"""Spikes, and what follows when the numbers of a step go wrong."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.judge.instability import (
    FEWEST,
    Instability,
    after_step,
    bound_of,
    instability_from,
    instability_to_plain,
    returned,
    spike_bound,
)
from tunesmith.recipe.schema.run import Safety

USUAL = tuple(2.0 + 0.1 * math.sin(i) for i in range(40))
LOSSES = st.lists(st.floats(0.01, 100), min_size=FEWEST, max_size=80)


def after(trouble, safety, loss, *, step=41, norm=1.0, finite=True):
    return after_step(trouble, safety, step=step, loss=loss, grad_norm=norm, finite=finite)


@given(LOSSES, st.floats(1.5, 20))
def test_a_bound_lies_above_the_middle_and_moves_with_the_losses(losses, threshold):
    bound = spike_bound(losses, threshold)
    assert bound > sorted(losses)[len(losses) // 2 - 1]
    assert spike_bound([10 * loss for loss in losses], threshold) == pytest.approx(10 * bound)


@given(LOSSES, st.integers(1, 7))
def test_a_few_wild_losses_do_not_hide_the_next(losses, wild):
    calm = [2.0 + 0.001 * i for i in range(32)]
    assert spike_bound([*calm, *[1e6] * wild], 8.0) < 3.0


def test_nothing_is_a_spike_before_anything_is_usual():
    assert spike_bound(USUAL[: FEWEST - 1], 8.0) == math.inf
    assert spike_bound(USUAL, 8.0) < 4.0
    assert bound_of(Instability(losses=USUAL), Safety()) == math.inf


def test_good_steps_are_remembered_as_many_as_the_window_holds():
    safety, trouble = Safety(spike="stop", window=16), Instability()
    for step, loss in enumerate(USUAL, start=1):
        outcome = after(trouble, safety, loss, step=step)
        assert outcome.action == "go on"
        trouble = outcome.trouble
    assert trouble.losses == USUAL[-16:]


@pytest.mark.parametrize("kind", ["spike", "non_finite"])
@pytest.mark.parametrize("action", ["skip", "back", "stop"])
def test_the_recipe_says_what_follows(kind, action):
    safety = Safety(**{kind: action})
    trouble = Instability(losses=USUAL)
    loss = 50.0 if kind == "spike" else math.nan
    outcome = after(trouble, safety, loss, finite=kind == "spike")
    assert outcome.action == action
    assert outcome.trouble.losses == USUAL
    assert "step 41" in outcome.reason


def test_skips_in_a_row_have_an_end_and_a_good_step_forgets_them():
    safety, trouble, actions = Safety(non_finite="skip", at_most=2), Instability(), []
    for finite in (False, False, True, False, False, False):
        outcome = after(trouble, safety, 1.0 if finite else math.inf, finite=finite)
        actions.append(outcome.action)
        trouble = outcome.trouble
    assert actions == ["skip", "skip", "go on", "skip", "skip", "stop"]
    assert "2 steps in a row" in outcome.reason


def test_returns_have_an_end_until_the_trouble_is_past():
    safety = Safety(spike="back", at_most=2, lower=0.5)
    trouble = Instability(losses=USUAL)
    for turn in (1, 2):
        assert after(trouble, safety, 50.0).action == "back"
        trouble = returned(Instability(losses=USUAL), trouble, safety, to=30, at=41)
        assert (trouble.factor, len(trouble.returns), trouble.losses) == (0.5**turn, turn, USUAL)
    assert after(trouble, safety, 50.0).action == "stop"
    near = after(trouble, safety, 2.0, step=41)
    assert len(near.trouble.returns) == 2
    past = after(trouble, safety, 2.0, step=42)
    assert (past.trouble.returns, past.trouble.factor) == ((), 0.25)
    assert after(past.trouble, safety, 50.0).action == "back"


@given(LOSSES, st.integers(0, 9), st.lists(st.integers(0, 99), max_size=3), st.floats(0.01, 1))
def test_all_of_it_survives_being_stored(losses, skipped, returns, factor):
    import json

    trouble = Instability(losses=tuple(losses), skipped=skipped, returns=tuple(returns), at=7, factor=factor)
    assert instability_from(json.loads(json.dumps(instability_to_plain(trouble)))) == trouble
    assert instability_from(instability_to_plain(replace(trouble, losses=()))) == replace(trouble, losses=())

"""A loss over the whole batch is the same however the batch is spread over passes and processes."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

SCRIPT = Path(__file__).with_name("contrast.py")
EXACT = 1e-6


@pytest.fixture(scope="module")
def shown(as_module):
    """The script as a module."""
    return as_module(SCRIPT)


@pytest.fixture(scope="module")
def two(launcher, tmp_path_factory):
    """The script in two processes."""
    folder = tmp_path_factory.mktemp("two")
    launcher.run(SCRIPT, str(folder), processes=2)
    return folder


def textbook(shown, rows):
    """Loss and gradient by plain autograd over all these rows at once."""
    task, model = shown.Pairs(), shown.model_of()
    found = [one for one in shown.examples() if one["row"] in rows]
    loss = task.coupled_loss(task.embed(model, task.collate(found)))
    (loss.total / len(found)).backward()
    gradient = {name: parameter.grad for name, parameter in model.named_parameters()}
    parts = {name: float(part.detach()) / len(found) for name, part in loss.parts.items()}
    return float(loss.total.detach()) / len(found), parts, gradient


@pytest.fixture(scope="module")
def whole(shown):
    return textbook(shown, range(shown.ROWS))


def assert_same(result, gradient, expected):
    loss, parts, wanted = expected
    assert result["loss"] == pytest.approx(loss, abs=EXACT)
    assert result["parts"] == pytest.approx(parts, abs=EXACT)
    assert gradient.keys() == wanted.keys()
    for name, value in wanted.items():
        assert torch.allclose(gradient[name], value, rtol=0, atol=EXACT), name


@pytest.mark.parametrize("micro", [1, 2, 4, 8])
def test_passes_do_not_change_loss_and_gradient(shown, alone, whole, micro):
    result, gradient = shown.step(alone, micro)
    assert_same({"loss": result.loss, "parts": result.parts}, gradient, whole)
    assert result.supervised == shown.ROWS


@pytest.mark.parametrize("micro", [1, 8])
def test_rows_that_are_left_out_are_nobodys_negatives(shown, alone, micro):
    left = [row for row in range(shown.ROWS) if row not in shown.THINNED]
    result, gradient = shown.step(alone, micro, excluded=shown.THINNED)
    assert_same({"loss": result.loss, "parts": result.parts}, gradient, textbook(shown, left))


@pytest.mark.parametrize("name", ["one-pass", "four-passes", "thinned", "lonely"])
def test_two_processes_learn_what_one_learns(shown, two, whole, name):
    left = {"thinned": [row for row in range(shown.ROWS) if row not in shown.THINNED], "lonely": [0]}
    expected = textbook(shown, left[name]) if name in left else whole
    for rank in (0, 1):
        result = json.loads((two / f"{name}-{rank}.json").read_text())
        assert_same(result, load_file(two / f"{name}-{rank}.safetensors"), expected)


def test_the_batch_matters(shown, whole):
    """In other words: what is compared above could not be had from the parts alone."""
    halves = [textbook(shown, range(start, start + 4))[0] for start in (0, 4)]
    assert abs(sum(halves) / 2 - whole[0]) > 0.1


def test_both_passes_drop_out_the_same_units(shown, alone):
    task = shown.Pairs()
    torch.manual_seed(3)
    shown.step(alone, 2, task=task, dropout=0.5)
    first, second = task.seen[:4], task.seen[4:]
    assert len(second) == 4
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert not torch.allclose(first[0], first[1])
    once = shown.Pairs()
    shown.step(alone, 8, task=once)
    assert len(once.seen) == 1, "a step of one pass is computed once"

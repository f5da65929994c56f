"""The arithmetic of one step: in one process, in several passes, and in two processes."""

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from tunesmith.plan.batch import divide, micro_batches_without
from tunesmith.tasks.language.causal_lm import CausalLM
from tunesmith.tasks.task import Batch, Loss
from tunesmith.train.batches import StepBatches
from tunesmith.train.engine.learner import Learner
from tunesmith.train.engine.process import Process
from tunesmith.train.engine.replicated import Replicated
from tunesmith.train.step import train_step
from tunesmith.train.supervise.interrupts import Interrupts
from tunesmith.world.environment import World

SCRIPT = Path(__file__).with_name("gradients.py")
EXACT = 1e-6


@pytest.fixture(scope="module")
def shown(as_module):
    """The script as a module."""
    return as_module(SCRIPT)


@pytest.fixture(scope="module")
def whole(shown, alone):
    """All eight rows in one pass."""
    return shown.step(alone, 8)


@pytest.fixture(scope="module")
def two(launcher, tmp_path_factory):
    """The script in two processes."""
    folder = tmp_path_factory.mktemp("two")
    launcher.run(SCRIPT, str(folder), processes=2)
    facts = [json.loads((folder / f"facts-{rank}.json").read_text()) for rank in (0, 1)]
    return folder, facts


def assert_same(found, expected, within=EXACT):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(found[name], value, rtol=0, atol=within), (
            name,
            (found[name] - value).abs().max(),
        )


def test_the_gradient_is_that_of_the_mean_over_all_supervised_tokens(shown, whole):
    task = shown.task_of()
    model, total, count = shown.model_of(task), 0.0, 0
    for example in shown.examples_of(task):  # one by one, by the textbook
        ids, marks = torch.tensor([example["input_ids"]]), torch.tensor(example["supervised"])
        labels = torch.where(marks == 1, ids[0], -100)
        logits = model(input_ids=ids).logits[0]
        total = total + F.cross_entropy(logits[:-1], labels[1:], ignore_index=-100, reduction="sum")
        count += int((labels[1:] != -100).sum())
    (total / count).backward()
    result, gradient = whole
    assert_same(gradient, {name: p.grad for name, p in model.named_parameters()})
    assert result.loss == pytest.approx(float(total.detach()) / count, abs=EXACT)
    assert result.supervised == count
    norm = math.sqrt(sum(float(g.double().square().sum()) for g in gradient.values()))
    assert result.grad_norm == pytest.approx(norm, rel=1e-4)
    assert result.updated
    assert result.asked == Interrupts()


def test_the_rows_are_uneven_enough_to_tell(shown):
    counts = [sum(example["supervised"]) for example in shown.examples_of(shown.task_of())]
    assert max(counts) > 10 * min(counts)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("micro", [1, 2, 4, 8])
def test_passes_do_not_change_the_gradient(shown, alone, whole, micro, packed):
    result, gradient = shown.step(alone, micro, packed=packed)
    assert_same(gradient, whole[1])
    assert result.loss == pytest.approx(whole[0].loss, abs=EXACT)
    assert result.supervised == whole[0].supervised


@pytest.mark.parametrize("micro", [1, 8])
def test_parts_of_the_loss_add_up_to_it(shown, alone, whole, micro, monkeypatch):
    plain = CausalLM.loss

    def parted(self, model, batch):
        total = plain(self, model, batch).total
        return Loss(total, {"small": total * 0.25, "large": total * 0.75})

    monkeypatch.setattr(CausalLM, "loss", parted)
    result, _ = shown.step(alone, micro, packed=False)
    mean = whole[0].loss
    assert result.parts == {"large": pytest.approx(0.75 * mean), "small": pytest.approx(0.25 * mean)}


@pytest.mark.parametrize("name", ["plain", "packed"])
def test_two_processes_have_the_gradient_of_one(two, whole, name):
    folder, facts = two
    for rank in (0, 1):
        assert facts[rank]["processes"] == 2
        assert_same(load_file(folder / f"{name}-{rank}.safetensors"), whole[1])
        assert facts[rank][name]["loss"] == pytest.approx(whole[0].loss, abs=EXACT)
        assert facts[rank][name]["grad_norm"] == pytest.approx(whole[0].grad_norm, abs=EXACT)
        assert facts[rank][name]["supervised"] == whole[0].supervised


@pytest.fixture(scope="module")
def thinned(shown):
    """Gradient and count of the mean over the rows that are left, by the textbook."""
    task = shown.task_of()
    model, total, count = shown.model_of(task), 0.0, 0
    for index, example in enumerate(shown.examples_of(task)):
        if index in shown.THINNED:
            continue
        ids, marks = torch.tensor([example["input_ids"]]), torch.tensor(example["supervised"])
        labels = torch.where(marks == 1, ids[0], -100)
        logits = model(input_ids=ids).logits[0]
        total = total + F.cross_entropy(logits[:-1], labels[1:], ignore_index=-100, reduction="sum")
        count += int((labels[1:] != -100).sum())
    (total / count).backward()
    return float(total.detach()) / count, count, {name: p.grad for name, p in model.named_parameters()}


@pytest.mark.parametrize(("micro", "packed"), [(1, False), (2, True), (8, True)])
def test_rows_that_are_left_out_are_in_no_gradient_and_no_count(shown, alone, thinned, micro, packed):
    result, gradient = shown.step(alone, micro, packed=packed, excluded=shown.THINNED)
    assert_same(gradient, thinned[2])
    assert (result.loss, result.supervised) == (pytest.approx(thinned[0], abs=EXACT), thinned[1])


@pytest.mark.parametrize(("name", "micro"), [("thinned", 1), ("thinned-packed", 4)])
def test_two_processes_of_which_one_has_no_row_left_learn_the_same(two, shown, thinned, name, micro):
    folder, facts = two
    lengths = [example["length"] for example in shown.examples_of(shown.task_of())]
    division = divide(8, micro, 2, typical_tokens=30)
    hands = [micro_batches_without(range(8), lengths, division, rank, shown.THINNED) for rank in (0, 1)]
    assert len(hands[0]) == len(hands[1]) < division.accumulation + (micro > 1)
    assert not all(hand.learns for one in hands for hand in one), "one process is left without a row"
    for rank in (0, 1):
        assert_same(load_file(folder / f"{name}-{rank}.safetensors"), thinned[2])
        assert facts[rank][name]["loss"] == pytest.approx(thinned[0], abs=EXACT)
        assert facts[rank][name]["supervised"] == thinned[1]


def test_a_step_of_which_every_row_is_left_out_changes_nothing(shown, alone, two):
    folder, facts = two
    result, gradient = shown.step(alone, 2, excluded=tuple(range(8)))
    assert (result.supervised, result.updated) == (0, False)
    assert all(not value.any() for value in gradient.values())
    for rank in (0, 1):
        assert (facts[rank]["nothing"]["supervised"], facts[rank]["nothing"]["updated"]) == (0, False)
        assert facts[rank]["nothing"]["seconds"] == 10.5
        assert all(not value.any() for value in load_file(folder / f"nothing-{rank}.safetensors").values())


def test_a_loss_that_is_no_number_changes_nothing(shown, alone):
    result, gradient = shown.step(alone, 2, poison=(0,))
    assert not result.updated
    assert math.isnan(result.loss)
    assert all(not value.any() for value in gradient.values())


def test_a_loss_that_is_no_number_in_one_process_stops_both(two):
    folder, facts = two
    for rank in (0, 1):
        assert facts[rank]["poisoned"]["updated"] is False
        assert math.isnan(facts[rank]["poisoned"]["loss"])
        assert all(not value.any() for value in load_file(folder / f"poisoned-{rank}.safetensors").values())


def test_both_processes_know_that_one_was_asked_to_stop(two):
    facts = two[1]
    assert [fact["asked"]["asked"]["leave"] for fact in facts] == [True, True]
    assert [fact["plain"]["asked"]["leave"] for fact in facts] == [False, False]


def test_all_processes_tell_the_same_time(two):
    assert [fact["plain"]["seconds"] for fact in two[1]] == [10.5, 10.5]


@pytest.mark.parametrize("clip", [0.01, 1e6])
def test_the_gradient_is_clipped_by_its_global_norm(shown, alone, whole, clip):
    result, gradient = shown.step(alone, 2, clip=clip)
    assert result.grad_norm == pytest.approx(whole[0].grad_norm, rel=1e-5)
    factor = min(1.0, clip / whole[0].grad_norm)
    assert_same(gradient, {name: value * factor for name, value in whole[1].items()})


def test_the_learning_rate_is_set(shown, alone, whole):
    _, gradient = shown.step(alone, 8, learning_rate=0.25)
    assert_same(gradient, {name: value * 0.25 for name, value in whole[1].items()})


def test_two_processes_measure_what_one_measures(shown, alone, two):
    expected = shown.measured(alone)
    for rank in (0, 1):
        found = two[1][rank]["measured"]
        assert found["ids"] == expected["ids"] == [f"r{i}" for i in range(7)]
        assert found["examples"] == 7
        for name, value in expected["metrics"].items():
            assert found["metrics"][name] == pytest.approx(value, rel=EXACT, abs=EXACT), name
        assert found["intervals"].keys() == expected["intervals"].keys()


def test_evaluation_leaves_every_module_in_its_mode(shown, alone):
    assert shown.measured(alone)["modes"] == [True, False, True]


def test_statistics_are_the_first_processs_before_a_measurement(two):
    assert [fact["measured"]["mean"] for fact in two[1]] == [[0.0] * 3] * 2


def test_the_first_process_speaks_for_all(two):
    assert [fact["from_main"] for fact in two[1]] == [{"rank": 0}] * 2


class SumOfOutputs:
    """A task whose loss is the sum of what the model gives."""

    def loss(self, model, batch):
        return Loss(model(batch["x"]).sum())


@pytest.mark.parametrize(("still", "moves"), [(frozenset(), True), (frozenset({0}), False)])
def test_too_few_rows_move_no_statistics(alone, still, moves):
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Dropout(), torch.nn.Linear(2, 1))
    engine = Replicated(
        accelerator=alone,
        model=model,
        bare=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        scaler=None,
        sharded=False,
    )
    rows = 1 if still else 3  # one row alone has no variance, which torch refuses
    batch = Batch({"x": torch.randn(rows, 2) + 5}, count=rows)
    result = train_step(
        Process(alone, World(), 1, "no"),
        Learner(engine=engine, model=model, task=SumOfOutputs(), dtype=torch.float32),
        StepBatches([batch], frozen_statistics=still),
        learning_rate=0.1,
        clip=None,
        clock=lambda: 0.0,
        asked=Interrupts(),
    )
    assert result.updated
    assert bool(model[0].running_mean.any()) == moves
    assert all(module.training for module in model), "whatever it was, it is as before"

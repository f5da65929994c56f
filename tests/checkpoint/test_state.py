"""What a checkpoint holds of a model, an optimiser and random numbers, and that it comes back bit for bit."""

import json
import random

import numpy as np
import pytest
import torch

from tunesmith.checkpoint.state import (
    learned_tensors,
    read_optimizer,
    read_random_state,
    read_tensors,
    restore_tensors,
    write_optimizer,
    write_random_state,
    write_tensors,
)
from tunesmith.errors import UserError
from tunesmith.recipe.schema import Optimizer
from tunesmith.train.optimizer import make_optimizer


def net(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 3))
    model[0].weight.requires_grad_(False)
    model.register_buffer("table", torch.arange(3.0), persistent=False)
    return model


def learn(model, optimizer, steps: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        model(torch.randn(5, 6, generator=generator)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def test_what_learns_and_what_moves_is_kept_and_nothing_else():
    model = net()
    statistics = {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert set(learned_tensors(model)) == learning | statistics
    assert "0.weight" not in learning


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_going_on_from_files_is_going_on(tmp_path, name):
    section = Optimizer(name=name, learning_rate=0.05, weight_decay=0.1)
    model = net()
    optimizer = make_optimizer(model, section)
    learn(model, optimizer, 3, seed=1)
    optimizer.param_groups[0]["lr"] = 0.03
    write_tensors(tmp_path / "weights.safetensors", learned_tensors(model))
    write_optimizer(tmp_path, optimizer)
    learn(model, optimizer, 4, seed=2)

    other = net()
    with torch.no_grad():
        other[0].weight.copy_(model[0].weight)
    second = make_optimizer(other, section)
    restore_tensors(other, read_tensors(tmp_path / "weights.safetensors"))
    read_optimizer(tmp_path, second)
    assert second.param_groups[0]["lr"] == 0.03
    learn(other, second, 4, seed=2)
    for key, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


def test_an_optimiser_that_never_stepped_comes_back_too(tmp_path):
    write_optimizer(tmp_path, make_optimizer(net(), Optimizer(learning_rate=0.1)))
    optimizer = make_optimizer(net(), Optimizer(learning_rate=0.1))
    read_optimizer(tmp_path, optimizer)
    assert not optimizer.state


def test_betas_stay_a_pair(tmp_path):
    write_optimizer(tmp_path, make_optimizer(net(), Optimizer(learning_rate=0.1, betas=(0.7, 0.8))))
    optimizer = make_optimizer(net(), Optimizer(learning_rate=0.1))
    read_optimizer(tmp_path, optimizer)
    assert optimizer.param_groups[0]["betas"] == (0.7, 0.8)


def test_random_numbers_go_on(tmp_path):
    def draw():
        return random.random(), np.random.rand(3).tolist(), np.random.randn(), torch.rand(3).tolist()

    np.random.randn()  # leaves half a pair behind, which must come back as well
    random.gauss(0, 1)
    write_random_state(tmp_path, 3)
    expected = draw(), random.gauss(0, 1)
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(99)
    read_random_state(tmp_path, 3)
    assert (draw(), random.gauss(0, 1)) == expected


def test_nothing_that_could_run_code_is_written(tmp_path):
    model = net()
    optimizer = make_optimizer(model, Optimizer(learning_rate=0.1))
    learn(model, optimizer, 1, seed=0)
    write_tensors(tmp_path / "weights.safetensors", learned_tensors(model))
    write_optimizer(tmp_path, optimizer)
    write_random_state(tmp_path, 0)
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}
    for path in tmp_path.glob("*.json"):
        json.loads(path.read_text())


@pytest.mark.parametrize("change", ["less", "more"])
def test_weights_of_another_model_are_refused_and_nothing_is_changed(change):
    model = net()
    saved = learned_tensors(net(seed=1))
    if change == "less":
        del saved["2.bias"]
    else:
        saved["3.bias"] = torch.zeros(2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(UserError, match=r"2\.bias|3\.bias"):
        restore_tensors(model, saved)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_tied_tensors_are_written_apart(tmp_path):
    shared = torch.ones(2, 2)
    write_tensors(tmp_path / "t.safetensors", {"a": shared, "b": shared})
    assert set(read_tensors(tmp_path / "t.safetensors")) == {"a", "b"}


def test_bfloat16_comes_back_as_it_was(tmp_path):
    write_tensors(tmp_path / "t.safetensors", {"a": torch.tensor([1 / 3], dtype=torch.bfloat16)})
    assert read_tensors(tmp_path / "t.safetensors")["a"].dtype == torch.bfloat16

"""What a checkpoint holds of a model, an optimiser and random numbers, and that it comes back bit for bit."""

import json
import random

import numpy as np
import pytest
import torch

from tunesmith.checkpoint.shards import (
    flat_moments,
    moving_buffers,
    random_state,
    read_random_state,
    read_shards,
    read_tensors,
    refuse_other_names,
    shard_name,
    unflatten_moments,
    write_random_state,
    write_tensors,
)
from tunesmith.errors import UserError


def net(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 3))
    model[0].weight.requires_grad_(False)
    model.register_buffer("table", torch.arange(3.0), persistent=False)
    return model


def test_what_moves_is_kept_and_nothing_that_is_made_anew():
    assert set(moving_buffers(net())) == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}


def test_an_optimisers_state_has_one_name_each_and_comes_back():
    moments = {"step": torch.tensor(3.0), "exp_avg": torch.ones(2, 3)}
    flat = flat_moments("a.weight", moments) | flat_moments("b/c.bias", {"step": torch.tensor(4.0)})
    assert set(flat) == {"step/a.weight", "exp_avg/a.weight", "step/b/c.bias"}
    back = unflatten_moments(flat)
    assert set(back) == {"a.weight", "b/c.bias"}
    assert torch.equal(back["a.weight"]["exp_avg"], moments["exp_avg"])
    assert float(back["b/c.bias"]["step"]) == 4.0


def test_what_several_processes_wrote_is_read_by_any_number(tmp_path):
    for rank, name in enumerate(("a", "b", "c")):
        write_tensors(tmp_path / shard_name("weights", rank), {name: torch.full((2,), rank)})
    write_tensors(tmp_path / shard_name("optimizer", 0), {"other": torch.zeros(1)})
    assert {name: int(value[0]) for name, value in read_shards(tmp_path, "weights").items()} == {
        "a": 0,
        "b": 1,
        "c": 2,
    }


@pytest.mark.parametrize("change", ["less", "more"])
def test_weights_of_another_model_are_refused(change):
    expected = {"a", "b"}
    with pytest.raises(UserError, match="b" if change == "less" else "c"):
        refuse_other_names(expected, {"a"} if change == "less" else {"a", "b", "c"})
    refuse_other_names(expected, {"b", "a"})


def test_random_numbers_go_on(tmp_path):
    def draw():
        return random.random(), np.random.rand(3).tolist(), np.random.randn(), torch.rand(3).tolist()

    np.random.randn()  # leaves half a pair behind, which must come back as well
    random.gauss(0, 1)
    write_random_state(tmp_path, 3, random_state())
    expected = draw(), random.gauss(0, 1)
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(99)
    read_random_state(tmp_path, 3)
    assert (draw(), random.gauss(0, 1)) == expected


def test_nothing_that_could_run_code_is_written(tmp_path):
    write_tensors(tmp_path / "weights.safetensors", moving_buffers(net()))
    write_random_state(tmp_path, 0, random_state())
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}
    for path in tmp_path.glob("*.json"):
        json.loads(path.read_text())


def test_tied_tensors_are_written_apart(tmp_path):
    shared = torch.ones(2, 2)
    write_tensors(tmp_path / "t.safetensors", {"a": shared, "b": shared})
    assert set(read_tensors(tmp_path / "t.safetensors")) == {"a", "b"}


def test_bfloat16_comes_back_as_it_was(tmp_path):
    write_tensors(tmp_path / "t.safetensors", {"a": torch.tensor([1 / 3], dtype=torch.bfloat16)})
    assert read_tensors(tmp_path / "t.safetensors")["a"].dtype == torch.bfloat16

"""Weights, optimiser and random numbers come back from a checkpoint's files bit for bit."""

import random

import pytest
import torch
from accelerate import Accelerator

from tunesmith.recipe.schema.tune import Optimizer
from tunesmith.train.engine.optimizer import make_optimizer
from tunesmith.train.engine.replicated import Replicated
from tunesmith.train.resume.snapshot import restore, snapshot, write_snapshot


def net(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 3))
    model[0].weight.requires_grad_(False)
    return model


def engine_of(model: torch.nn.Module, name: str = "adamw", scaler=None) -> Replicated:
    section = Optimizer(name=name, learning_rate=0.05, weight_decay=0.1)
    optimizer = make_optimizer(model, section)
    return Replicated(
        accelerator=Accelerator(cpu=True),
        model=model,
        bare=model,
        optimizer=optimizer,
        scaler=scaler,
        sharded=False,
    )


def learn(engine: Replicated, steps: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        loss = engine.model(torch.randn(5, 6, generator=generator)).square().mean()
        engine.scaled(loss).backward()
        assert engine.update(learning_rate=0.05, clip=1.0, learn=True).applied


def written(engine: Replicated, folder, ranks: int = 1) -> None:
    for rank in range(ranks):
        taken = snapshot(engine, engine.bare, {"answer": 42}, rank=rank, processes=ranks)
        write_snapshot(taken, folder)


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_going_on_from_files_is_going_on(tmp_path, name, ranks):
    engine = engine_of(net(), name)
    learn(engine, 3, seed=1)
    written(engine, tmp_path, ranks)
    drawn = random.random(), torch.rand(2).tolist()
    learn(engine, 4, seed=2)
    other = engine_of(net(), name)
    assert restore(tmp_path, other, other.bare, 0)["answer"] == 42
    assert (random.random(), torch.rand(2).tolist()) == drawn
    learn(other, 4, seed=2)
    for key, value in engine.bare.state_dict().items():
        assert torch.equal(value, other.bare.state_dict()[key]), key


def test_a_snapshot_does_not_move_with_the_model(tmp_path):
    engine = engine_of(net())
    learn(engine, 1, seed=1)
    taken = snapshot(engine, engine.bare, {}, rank=0, processes=1)
    before = {name: value.clone() for name, value in (taken.weights | taken.moments).items()}
    learn(engine, 2, seed=2)
    assert all(torch.equal(value, before[name]) for name, value in (taken.weights | taken.moments).items())


def test_an_optimiser_that_never_stepped_comes_back_too(tmp_path):
    written(engine_of(net()), tmp_path)
    other = engine_of(net())
    restore(tmp_path, other, other.bare, 0)
    assert not other.optimizer.state


def test_the_loss_scale_of_float16_comes_back(tmp_path):
    engine = engine_of(net(), scaler=torch.amp.GradScaler("cpu", init_scale=2.0**10))
    engine.scaled(engine.model(torch.full((5, 6), 1e37)).square().sum()).backward()
    update = engine.update(learning_rate=0.1, clip=1.0, learn=True)
    assert (update.applied, update.rescaled) == (False, True)
    assert engine.scale()["scale"] == 2.0**9
    written(engine, tmp_path)
    other = engine_of(net(), scaler=torch.amp.GradScaler("cpu", init_scale=2.0**16))
    restore(tmp_path, other, other.bare, 0)
    assert other.scale() == engine.scale()


def test_a_loss_that_is_not_finite_changes_nothing():
    engine = engine_of(net())
    before = {name: value.clone() for name, value in engine.bare.named_parameters()}
    (engine.model(torch.randn(5, 6)).sum() * float("nan")).backward()
    update = engine.update(learning_rate=0.1, clip=1.0, learn=False)
    assert not update.applied
    assert not update.rescaled
    assert all(torch.equal(value, before[name]) for name, value in engine.bare.named_parameters())
    assert all(parameter.grad is None for parameter in engine.bare.parameters())

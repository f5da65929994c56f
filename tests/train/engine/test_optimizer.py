import pytest
import torch

from tunesmith.recipe.schema.tune import Optimizer
from tunesmith.train.engine.optimizer import make_optimizer


def tiny() -> torch.nn.Module:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 2))
    model[2].weight.requires_grad_(False)
    return model


def test_decay_spares_biases_and_normalisation():
    model = tiny()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = make_optimizer(model, Optimizer(learning_rate=0.1, weight_decay=0.5))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    optimizer.step()
    moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert moved == {"0.weight"}
    assert torch.allclose(model[0].weight, before["0.weight"] * (1 - 0.1 * 0.5))


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_only_what_learns_is_held(name):
    model = tiny()
    optimizer = make_optimizer(model, Optimizer(name=name, learning_rate=0.1, weight_decay=0.1))
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert {id(p) for p in held} == {id(p) for p in learning}
    assert len(held) == len(learning)


def test_settings_arrive():
    section = Optimizer(learning_rate=0.3, weight_decay=0.2, betas=(0.8, 0.95), eps=1e-6)
    first = make_optimizer(tiny(), section).param_groups[0]
    assert (first["lr"], first["weight_decay"], tuple(first["betas"]), first["eps"]) == (
        0.3,
        0.2,
        (0.8, 0.95),
        1e-6,
    )


def test_adafactor_keeps_less_than_adamw():
    sizes = {}
    for name in ("adamw", "adafactor"):
        model = torch.nn.Linear(64, 64, bias=False)
        optimizer = make_optimizer(model, Optimizer(name=name, learning_rate=0.01))
        model(torch.ones(2, 64)).sum().backward()
        optimizer.step()
        sizes[name] = sum(value.numel() for state in optimizer.state.values() for value in state.values())
    assert sizes["adafactor"] < sizes["adamw"] / 20


def test_one_dimension_alone_is_enough():
    model = torch.nn.LayerNorm(4)
    assert len(make_optimizer(model, Optimizer(learning_rate=0.1)).param_groups) == 1

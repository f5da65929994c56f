"""The fused product against peft's own layers, which say what is right."""

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer

from tunesmith.model.tune.fused_lora import LoraProduct, fuse_lora


def adapted(tiny, kind="llama", dtype=torch.float32, **options):
    model = tiny.make(kind).to(dtype)
    settings = {"r": 4, "lora_alpha": 12, "target_modules": "all-linear", "task_type": "CAUSAL_LM", **options}
    wrapped = get_peft_model(model, LoraConfig(**settings))
    for parameter in wrapped.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.promote_types(dtype, torch.float32))
    tiny.wake(wrapped)
    return wrapped


def learn(model, ids):
    """Logits, and the gradient of every adapter."""
    logits = model(input_ids=ids).logits
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    (logits * torch.linspace(-1, 1, logits.shape[-1])).square().mean().backward()
    return logits.detach(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def assert_near(found, wanted, tolerance: float) -> None:
    """Within ``tolerance`` of the largest value."""
    assert (found - wanted).abs().max() <= tolerance * wanted.abs().max()


OPTIONS = {
    "plain": {},
    "rank-stabilised": {"use_rslora": True, "r": 8},
    "rank 1": {"r": 1, "lora_alpha": 0.5},
}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
@pytest.mark.parametrize("case", OPTIONS)
def test_outputs_and_gradients_are_those_of_peft(tiny, case, dtype, tolerance) -> None:
    theirs = adapted(tiny, dtype=dtype, **OPTIONS[case])
    ours = copy.deepcopy(theirs)
    layers = sum(isinstance(module, LoraLayer) for module in ours.modules())
    assert fuse_lora(ours) == layers == 14
    wanted, wanted_grads = learn(theirs, tiny.ids)
    found, grads = learn(ours, tiny.ids)
    assert_near(found, wanted, tolerance)
    assert grads.keys() == wanted_grads.keys()
    assert len(grads) == 2 * layers
    for name, grad in grads.items():
        assert_near(grad, wanted_grads[name], 10 * tolerance)


@pytest.mark.parametrize("name", ["self_attn.q_proj", "mlp.down_proj"])
def test_one_layer_in_float32_is_within_a_millionth(tiny, name) -> None:
    theirs = adapted(tiny)
    ours = copy.deepcopy(theirs)
    fuse_lora(ours)
    layers = [m.get_submodule(f"base_model.model.model.layers.1.{name}") for m in (theirs, ours)]
    torch.manual_seed(0)
    x = torch.randn(3, 5, layers[0].in_features)
    assert_near(layers[1](x), layers[0](x), 1e-6)


@pytest.mark.parametrize("arriving", [torch.bfloat16, torch.float32])
def test_in_bfloat16_the_error_is_that_of_the_number_type(tiny, arriving) -> None:
    """A float64 copy of the same numbers says what is right; bfloat16 keeps 8 bits."""
    model = adapted(tiny, dtype=torch.bfloat16)
    exact = copy.deepcopy(model).double()
    fuse_lora(model)
    name = "base_model.model.model.layers.1.mlp.gate_proj"
    torch.manual_seed(0)
    x, grad = torch.randn(3, 5, 32).to(arriving), torch.randn(3, 5, 48).bfloat16()
    results = []
    for layer in (model.get_submodule(name), exact.get_submodule(name)):
        dtype = layer.get_base_layer().weight.dtype
        given = x.clone() if dtype == torch.bfloat16 else x.double()
        given.requires_grad_()
        y = layer(given)
        y.backward(grad.to(dtype))
        down, up = layer.lora_A["default"].weight.grad, layer.lora_B["default"].weight.grad
        assert (y.dtype, given.grad.dtype) == (dtype, given.dtype)
        assert down.dtype == up.dtype == torch.promote_types(dtype, torch.float32)
        results.append((y, given.grad, down, up))
    for found, wanted in zip(*results, strict=True):
        assert (found.double() - wanted).norm() < 2**-7 * wanted.norm()


def test_biases_of_frozen_layers_are_added(tiny) -> None:
    base = tiny.make("llama", attention_bias=True)
    theirs = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj", "o_proj"]))
    for name, parameter in theirs.named_parameters():
        if name.endswith("base_layer.bias"):
            torch.nn.init.normal_(parameter.data)
    tiny.wake(theirs)
    ours = copy.deepcopy(theirs)
    assert fuse_lora(ours) == 4
    assert_near(learn(ours, tiny.ids)[0], learn(theirs, tiny.ids)[0], 1e-6)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("llama", {"lora_dropout": 0.5}),
        ("llama", {"use_dora": True}),
        ("llama", {"lora_bias": True}),
        ("gpt2", {"fan_in_fan_out": True}),
    ],
)
def test_layers_that_are_not_plain_keep_the_forward_of_peft(tiny, kind, options) -> None:
    theirs = adapted(tiny, kind, **options)
    ours = copy.deepcopy(theirs)
    assert fuse_lora(ours) == 0
    with torch.random.fork_rng():
        torch.manual_seed(4)
        wanted = theirs(input_ids=tiny.ids).logits
        torch.manual_seed(4)  # dropout draws the same
        assert torch.equal(ours(input_ids=tiny.ids).logits, wanted)


def test_disabled_adapters_leave_the_base_model(tiny) -> None:
    bare = tiny.make("llama")(input_ids=tiny.ids).logits
    model = adapted(tiny)
    fuse_lora(model)
    assert not torch.allclose(model(input_ids=tiny.ids).logits, bare, atol=1e-3)
    with model.disable_adapter():
        assert torch.equal(model(input_ids=tiny.ids).logits, bare)
    assert not torch.allclose(model(input_ids=tiny.ids).logits, bare, atol=1e-3)


def test_merging_after_fusing_gives_the_same_model(tiny) -> None:
    model = adapted(tiny, use_rslora=True)
    fuse_lora(model)
    wanted = model(input_ids=tiny.ids).logits
    theirs = adapted(tiny, use_rslora=True).merge_and_unload()
    merged = model.merge_and_unload()
    assert not any(isinstance(module, LoraLayer) for module in merged.modules())
    assert_near(merged(input_ids=tiny.ids).logits, wanted, 1e-5)
    for (name, ours), other in zip(merged.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert torch.equal(ours, other), name


def test_merged_in_place_and_unmerged_again(tiny) -> None:
    model = adapted(tiny)
    fuse_lora(model)
    wanted = model(input_ids=tiny.ids).logits
    model.merge_adapter()
    assert_near(model(input_ids=tiny.ids).logits, wanted, 1e-5)
    model.unmerge_adapter()
    assert_near(model(input_ids=tiny.ids).logits, wanted, 1e-5)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 1, 3)])
def test_gradients_are_those_of_finite_differences(shape, bias) -> None:
    torch.manual_seed(2)

    def random(*sizes, learns=False):
        return torch.randn(*sizes, dtype=torch.float64, requires_grad=learns)

    x, down, up = random(*shape, 4, learns=True), random(2, 4, learns=True), random(3, 2, learns=True)
    weight, added = random(3, 4), random(3) if bias else None
    y = LoraProduct.apply(x, weight, added, down, up, 1.7)
    wanted = torch.nn.functional.linear(x, weight, added) + 1.7 * (x @ down.t() @ up.t())
    torch.testing.assert_close(y, wanted)
    assert torch.autograd.gradcheck(
        lambda *a: LoraProduct.apply(a[0], weight, added, *a[1:], 1.7), (x, down, up)
    )


def test_an_input_that_needs_no_gradient_gets_none() -> None:
    x, weight = torch.randn(3, 4), torch.randn(2, 4)
    down, up = (torch.randn(1, 4, requires_grad=True), torch.randn(2, 1, requires_grad=True))
    LoraProduct.apply(x, weight, None, down, up, 1.0).sum().backward()
    assert x.grad is None
    assert down.grad is not None
    assert up.grad is not None

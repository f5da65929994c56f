"""What learns, and in which number type, where nothing is pretrained or layers have statistics."""

import pytest
import torch

from tunesmith.model.load import Head, load_config, load_outline
from tunesmith.model.tune.apply import apply_tune, needs_autocast
from tunesmith.model.tune.fused_lora import LoraProduct
from tunesmith.recipe.schema.tune import LayerRange, Lora, Tune
from tunesmith.recipe.tasks.language import CAUSAL_LM
from tunesmith.recipe.tasks.text import REGRESSION, SEQUENCE_CLASSIFICATION
from tunesmith.recipe.tasks.vision import IMAGE_CLASSIFICATION

CLASSES = (SEQUENCE_CLASSIFICATION, ("a", "b"))


def whole(model) -> set[str]:
    """Parameters trained beside the adapters, less what peft adds to their names."""
    names = (n for n, p in model.named_parameters() if p.requires_grad and "lora_" not in n)
    return {name.removeprefix("base_model.model.").replace(".modules_to_save.default", "") for name in names}


@pytest.mark.parametrize(
    ("kind", "head", "trained"),
    [
        ("llama", Head(CAUSAL_LM), set()),
        ("llama", Head(*CLASSES), {"score.weight"}),
        ("bert", Head(*CLASSES), {"classifier.weight", "classifier.bias"}),
        ("bert", Head(REGRESSION), {"classifier.weight", "classifier.bias"}),
    ],
)
def test_adapters_over_random_weights_leave_them_frozen(tiny, kind, head, trained) -> None:
    model = tiny.make(kind, head)
    fresh = frozenset(name for name, _ in model.named_parameters())
    tuned = apply_tune(model, Tune(lora=Lora(rank=2)), task=head.task, fresh=fresh, dtype=torch.float32)
    assert whole(tuned.model) == trained
    assert sum("lora_A" in name for name in tuned.trained) >= 8


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("kind", ["llama", "bert"])
def test_an_outline_without_weights_takes_adapters(tiny, kind, dora) -> None:
    head = Head(CAUSAL_LM) if kind == "llama" else Head(*CLASSES)
    tune = Tune(lora=Lora(rank=2, dora=dora))
    counts = []
    recipe = tiny.new(kind)
    outline, fresh = load_outline(recipe, head, load_config(recipe, head, 320))
    for model in (outline, tiny.make(kind, head)):
        tuned = apply_tune(model, tune, task=head.task, fresh=fresh, dtype=torch.bfloat16)
        counts.append({name: p.shape for name, p in tuned.model.named_parameters() if p.requires_grad})
    assert counts[0] == counts[1]


@pytest.mark.parametrize("layers", ["head", LayerRange(last=1)])
def test_frozen_batch_normalisation_works_beside_bfloat16(tiny, layers) -> None:
    head = Head(IMAGE_CLASSIFICATION, ("a", "b"))
    model = tiny.make("resnet", head)
    tuned = apply_tune(
        model, Tune(layers=layers), task=head.task, fresh=frozenset(), dtype=torch.bfloat16
    ).model
    assert needs_autocast(tuned, torch.bfloat16)
    types = {
        p.dtype for n, p in tuned.named_parameters() if "convolution.weight" in n and not p.requires_grad
    }
    assert types == {torch.bfloat16}
    with torch.autocast("cpu", torch.bfloat16):
        loss = tuned.train()(pixel_values=torch.rand(2, 3, 32, 32)).logits.float().sum()
    loss.backward()
    assert all((p.grad is not None) == p.requires_grad for p in tuned.parameters())


def test_an_input_wider_than_the_frozen_weights() -> None:
    """On a GPU, autocast leaves float32 behind a normalisation; the arithmetic is still the weights'."""
    torch.manual_seed(2)
    x, down, up = (torch.randn(*shape, requires_grad=True) for shape in ((5, 6), (2, 6), (4, 2)))
    weight, bias = torch.randn(4, 6).bfloat16(), torch.randn(4).bfloat16()
    y = LoraProduct.apply(x, weight, bias, down, up, 0.5)
    assert y.dtype == torch.bfloat16
    y.float().pow(2).sum().backward()
    narrow = [t.detach().bfloat16().requires_grad_() for t in (x, down, up)]
    LoraProduct.apply(narrow[0], weight, bias, *narrow[1:], 0.5).float().pow(2).sum().backward()
    for wide, other in zip((x, down, up), narrow, strict=True):
        assert wide.grad.dtype == torch.float32
        assert torch.equal(wide.grad, other.grad.float())


def test_a_head_trained_beside_adapters_in_bfloat16(tiny) -> None:
    """The head needs autocast, and the fused layers work within it."""
    head = Head(*CLASSES)
    model = tiny.make("bert", head)
    fresh = frozenset({"classifier.weight", "classifier.bias"})
    tuned = apply_tune(model, Tune(lora=Lora(rank=2)), task=head.task, fresh=fresh, dtype=torch.bfloat16)
    assert tuned.fused == 13
    tiny.wake(tuned.model)
    with torch.autocast("cpu", torch.bfloat16):
        tuned.model(input_ids=tiny.ids).logits.float().pow(2).sum().backward()
    grads = {n: p.grad for n, p in tuned.model.named_parameters() if p.requires_grad}
    assert all(grad is not None and grad.dtype == torch.float32 and grad.any() for grad in grads.values())

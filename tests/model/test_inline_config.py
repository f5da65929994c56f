"""Configurations that a recipe spells out: what is wrong with them is said before the first step."""

import pytest
import torch

from tunesmith.errors import UserError
from tunesmith.model.inline_config import try_out
from tunesmith.model.load import Head, load_config, load_model, load_outline
from tunesmith.recipe.schema.model import Model
from tunesmith.recipe.tasks.language import CAUSAL_LM
from tunesmith.recipe.tasks.vision import IMAGE_CLASSIFICATION

LLAMA = {
    "model_type": "llama",
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 20,
}
RESNET = {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
CAUSAL, IMAGES = Head(CAUSAL_LM), Head(IMAGE_CLASSIFICATION, ("a", "b"))


@pytest.mark.parametrize(
    ("settings", "head", "words"),
    [
        (
            {**LLAMA, "num_hiden_layers": 2},
            CAUSAL,
            ["`num_hiden_layers`", "did you mean `num_hidden_layers`"],
        ),
        ({**LLAMA, "depths": [1]}, CAUSAL, ["a `llama` model has no setting `depths`"]),
        ({**LLAMA, "model_type": "lama"}, CAUSAL, ["lama"]),
        ({**LLAMA, "num_key_value_heads": 3}, CAUSAL, ["refuses this configuration"]),
        ({**LLAMA, "hidden_act": "nothing"}, CAUSAL, ["refuses this configuration"]),
        ({**LLAMA, "hidden_act": 5}, CAUSAL, ["refuses this configuration"]),
        ({**LLAMA, "dtype": "head"}, CAUSAL, ["refuses this configuration"]),
        ({"model_type": "resnet", "depths": [1, 1]}, IMAGES, ["refuses this configuration"]),
    ],
)
def test_what_is_refused(settings, head, words):
    model = Model(new=settings, image_size=32)
    with pytest.raises(UserError) as caught:
        load_model(model, head, load_config(model, head), torch.float32)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(("settings", "head"), [(LLAMA, CAUSAL), (RESNET, IMAGES)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_trying_a_model_out_changes_nothing(settings, head, dtype):
    model = Model(new=settings, image_size=32)
    config = load_config(model, head)
    made, _ = load_model(model, head, config, dtype)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    drawn = torch.get_rng_state()
    training = made.train().training
    try_out(made, 32)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert made.training is training
    assert all(torch.equal(before[name], value) for name, value in made.state_dict().items())


def test_a_vision_model_learns_of_the_images_size():
    model = Model(
        new={"model_type": "vit", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2},
        image_size=32,
    )
    config = load_config(model, IMAGES)
    assert config.image_size == 32
    load_model(model, IMAGES, config, torch.float32)
    load_outline(model, IMAGES, config)

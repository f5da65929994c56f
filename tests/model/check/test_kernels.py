"""A configuration may name a package to compute with; it is neither fetched nor run."""

import json

import pytest
import torch
from transformers import AutoConfig

from tunesmith.model.check.kernels import without_kernels
from tunesmith.model.load import Head, load_config, load_model
from tunesmith.recipe.schema.model import Model
from tunesmith.recipe.tasks.vision import IMAGE_CLASSIFICATION

IMAGES = Head(IMAGE_CLASSIFICATION, ("a", "b"))


@pytest.mark.parametrize(
    "key", ["attn_implementation", "_attn_implementation_internal", "experts_implementation"]
)
def test_a_package_is_taken_out_of_a_configuration(tmp_path, key) -> None:
    AutoConfig.for_model("llama", hidden_size=32).save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: "stranger/attention"}))
    config = without_kernels(AutoConfig.from_pretrained(tmp_path), "it")
    assert "stranger" not in str(vars(config))


def test_a_vision_model_that_names_one_opens_without(tmp_path, capsys, monkeypatch) -> None:
    from transformers.integrations import hub_kernels

    def fetched(*_arguments, **_options):
        raise AssertionError("a package was asked for")

    for name in ("get_kernel", "lazy_load_kernel", "load_and_register_attn_kernel"):
        if hasattr(hub_kernels, name):
            monkeypatch.setattr(hub_kernels, name, fetched)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    recipe = Model(new={"model_type": "vit", "image_size": 32, **sizes}, image_size=32)
    load_model(recipe, IMAGES, load_config(recipe, IMAGES), torch.float32)[0].save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "attn_implementation": "stranger/attention"}))
    model = Model(source=str(tmp_path))
    opened, _ = load_model(model, IMAGES, load_config(model, IMAGES), torch.float32)
    assert opened.config._attn_implementation in ("sdpa", "eager")
    assert "`stranger/attention`, which is not fetched nor run" in capsys.readouterr().err

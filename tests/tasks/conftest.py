"""Tiny models from configurations and a tokenizer trained on the spot, made once."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tunesmith.data.row import Row
from tunesmith.tasks.language.causal_lm import CausalLM

sys.path.insert(0, str(Path(__file__).parent))  # for `families.py`

SPECIAL = ("<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
MORE = ("<start_of_turn>", "<end_of_turn>", "<bos>", "<s>", "</s>", "[INST]", "[/INST]")
TEXTS = [
    "What kind of question is this? who invented silly putty",
    "the moon turns orange: yes",
    "löwe 🦁 né",
]


def make_tokenizer():
    from tunesmith.model.processors import train_tokenizer

    tokenizer = train_tokenizer(TEXTS * 3, 340, encoder=False)
    tokenizer.add_special_tokens({"additional_special_tokens": [*SPECIAL, *MORE]})
    return tokenizer


def make_llama(**settings):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    # A wide spread of weights: answers differ between prompts, and no two logits are nearly equal.
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    tokens = {"bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0}
    options = {"vocab_size": 400, "max_position_embeddings": 256, "initializer_range": 0.6}
    config = LlamaConfig(**sizes, **tokens, **{**options, **settings})
    config._attn_implementation = "sdpa"
    return LlamaForCausalLM(config).eval()


def make_gpt2(**settings):
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(4)
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, "initializer_range": 0.4}
    nothing = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    tokens = {"bos_token_id": None, "eos_token_id": 1}
    return GPT2LMHeadModel(GPT2Config(vocab_size=400, **sizes, **nothing, **{**tokens, **settings})).eval()


def make_bert(labels: int, **settings):
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(5)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = BertConfig(vocab_size=400, max_position_embeddings=64, num_labels=labels, **sizes, **settings)
    return BertForSequenceClassification(config).eval()


@pytest.fixture(scope="session")
def tokenizer():
    return make_tokenizer()


@pytest.fixture(scope="session")
def encoder_tokenizer():
    from tunesmith.model.processors import train_tokenizer

    return train_tokenizer(TEXTS, 300, encoder=True)


@pytest.fixture(scope="session")
def llama():
    return make_llama()


@pytest.fixture(scope="session")
def gpt2():
    return make_gpt2()


@pytest.fixture(scope="session")
def models(llama, gpt2):
    return {"llama": llama, "gpt2": gpt2}


@pytest.fixture(scope="session")
def conversation():
    """A row from its turns, the user's first."""

    def make_row(*turns: str, row_id: str = "rows:1") -> Row:
        roles = ("user", "assistant")
        messages = [{"role": roles[i % 2], "content": turn} for i, turn in enumerate(turns)]
        return Row(row_id, {"messages": messages})

    return make_row


@pytest.fixture(scope="session")
def task(tokenizer):
    """The task of language models with the tokenizer's own template, and whatever options."""

    def make_task(**options) -> CausalLM:
        return CausalLM(tokenizer, **{"max_length": 1000, **options})

    return make_task


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The makers, for tests that need a model or a tokenizer of their own."""
    return SimpleNamespace(tokenizer=make_tokenizer, llama=make_llama, gpt2=make_gpt2, bert=make_bert)

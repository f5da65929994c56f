"""Tiny models of several architectures, made from configurations with a fixed seed."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tunesmith.model.load import Head, load_config, load_model
from tunesmith.model.processors import train_tokenizer
from tunesmith.recipe.schema.model import Model
from tunesmith.recipe.tasks.language import CAUSAL_LM
from tunesmith.recipe.tasks.text import SEQUENCE_CLASSIFICATION

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
ENDS = {"pad_token_id": 0, "bos_token_id": None, "eos_token_id": 1}
NEW = {
    "llama": {"model_type": "llama", **SIZES, **ENDS},
    "bert": {"model_type": "bert", **SIZES},
    "gpt2": {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 4, **ENDS},
    "resnet": {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 2]},
    "t5": {"model_type": "t5", "d_model": 32, "d_ff": 48, "num_layers": 2, "num_heads": 4, "d_kv": 8},
}
LANGUAGE = Head(CAUSAL_LM)
TEXTS = ["the moon turns orange", "who invented silly putty ?", "löwe 🦁 né"]


def new(kind: str, **settings) -> Model:
    return Model(new={**NEW[kind], **settings})


def classes(*labels: str) -> Head:
    return Head(SEQUENCE_CLASSIFICATION, labels)


def make(kind: str, head: Head = LANGUAGE, *, seed: int = 3, **settings):
    """A model in float32, without dropout at work."""
    torch.manual_seed(seed)
    recipe = new(kind, **settings)
    config = load_config(recipe, head, None if kind == "resnet" else 320)
    return load_model(recipe, head, config, torch.float32)[0].eval()


def reopen(folder: Path | str, head: Head, dtype: torch.dtype = torch.float32):
    recipe = Model(source=str(folder))
    model, fresh = load_model(recipe, head, load_config(recipe, head), dtype)
    return model.eval(), fresh


def wake(model, spread: float = 0.2, seed: int = 11) -> None:
    """Give adapters random weights: fresh ones add nothing, and any scaling of nothing is right."""
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter.data, std=spread)


@pytest.fixture(scope="session")
def tiny() -> SimpleNamespace:
    ids = torch.randint(6, 320, (2, 7), generator=torch.Generator().manual_seed(1))
    return SimpleNamespace(
        new=new, make=make, classes=classes, reopen=reopen, wake=wake, language=LANGUAGE, ids=ids, texts=TEXTS
    )


@pytest.fixture(scope="session")
def tokenizer():
    return train_tokenizer(TEXTS, 320, encoder=False)


@pytest.fixture(scope="session")
def labelled(tmp_path_factory, tiny):
    """A saved encoder whose classes are a, b and c."""
    folder = tmp_path_factory.mktemp("labelled")
    tiny.make("bert", tiny.classes("a", "b", "c")).save_pretrained(folder)
    return folder

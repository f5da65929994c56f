"""Nothing that comes with a model runs: no pickle, no module of its repository; each would leave a canary."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch

from tunesmith.errors import UserError
from tunesmith.model.check.pickles import refuse_pickled, without_pickles
from tunesmith.model.load import Head, load_config, load_model
from tunesmith.model.processors import load_image_processor, load_tokenizer, train_tokenizer
from tunesmith.recipe.schema.model import Model, TokenizerSpec
from tunesmith.recipe.tasks.language import CAUSAL_LM

CAUSAL = Head(CAUSAL_LM)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Payload:
    """Unpickled, it writes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return (os.system, (f"touch {self.canary}",))


@pytest.fixture
def canary(tmp_path: Path):
    """A path that must not come to exist."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole small model with its tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=300, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path / "model")
    train_tokenizer(["some words"], 262, encoder=False).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def load(folder: Path, **settings) -> None:
    model = Model(source=str(folder), **settings)
    tokenizer = load_tokenizer(model, [], encoder=False)
    config = load_config(model, CAUSAL, len(tokenizer))
    load_model(model, CAUSAL, config, torch.float32)


def payload(canary: Path, how: str) -> bytes:
    """A pickle, in the old and in the new format of torch."""
    if how == "plain":
        return pickle.dumps(Payload(canary))
    out = io.BytesIO()
    torch.save({"weight": Payload(canary)}, out, _use_new_zipfile_serialization=how == "zip")
    return out.getvalue()


def test_the_model_of_these_tests_is_whole(folder: Path) -> None:
    load(folder)


def test_the_payloads_are_armed(tmp_path: Path) -> None:
    """Opened by somebody trusting, each of them would write the canary."""
    for how in ("plain", "zip", "old"):
        here = tmp_path / f"armed-{how}"
        raw = io.BytesIO(payload(here, how))
        pickle.load(raw) if how == "plain" else torch.load(raw, weights_only=False)
        assert here.exists()


@pytest.mark.parametrize("how", ["plain", "zip", "old"])
@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "pytorch_model-00001-of-00001.bin", "model.pt", "model.pth"]
)
def test_pickled_weights(folder: Path, canary: Path, how: str, name: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(payload(canary, how))
    if "-of-" in name:
        index = {"metadata": {}, "weight_map": {"model.embed_tokens.weight": name}}
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="pickle") as caught:
        load(folder)
    assert name in caught.value.what
    assert "save_pretrained" in caught.value.hint


def test_pickles_beside_safetensors_are_left_alone(folder: Path, canary: Path) -> None:
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "rng_state.pth", "tokenizer.pkl"):
        (folder / name).write_bytes(payload(canary, "zip"))
    load(folder)


@pytest.mark.parametrize("name", ["model.bin", "model.pt", "weights.CKPT", "model.pkl"])
def test_a_pickle_named_as_the_model(tmp_path: Path, canary: Path, name: str) -> None:
    (tmp_path / name).write_bytes(payload(canary, "zip"))
    with pytest.raises(UserError, match="pickle"):
        load(tmp_path / name)


def adapter(folder: Path, canary: Path) -> None:
    described = {
        "peft_type": "LORA",
        "base_model_name_or_path": str(folder),
        "r": 2,
        "target_modules": ["q_proj"],
    }
    (folder / "adapter_config.json").write_text(json.dumps(described))
    (folder / "adapter_model.bin").write_bytes(payload(canary, "zip"))


def test_a_pickled_adapter_in_the_models_folder(folder: Path, canary: Path) -> None:
    adapter(folder, canary)
    with pytest.raises(UserError, match=r"adapter_model\.bin"):
        load(folder)


def test_no_library_opens_a_pickle_by_itself(folder: Path, canary: Path) -> None:
    """The second fence, for folders that nobody looked into, such as the hub's cache."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, LlamaForCausalLM

    adapter(folder, canary)
    with without_pickles(), pytest.raises((UserError, FileNotFoundError)):
        AutoModelForCausalLM.from_pretrained(folder)
    (folder / "adapter_config.json").rename(folder / "kept.json")
    base = LlamaForCausalLM.from_pretrained(folder)
    (folder / "kept.json").rename(folder / "adapter_config.json")
    with without_pickles(), pytest.raises(UserError, match="pickle"):
        PeftModel.from_pretrained(base, folder)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(payload(canary, "zip"))
    (folder / "adapter_config.json").unlink()
    with without_pickles(), pytest.raises(UserError, match="pickle"):
        AutoModelForCausalLM.from_pretrained(folder)
    assert "refuse" not in torch.load.__qualname__


def cached(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder as a repository of the hub, in its cache; gives its name."""
    from huggingface_hub import constants

    place = tmp_path / "hub" / "models--org--name"
    shutil.copytree(folder, place / "snapshots" / COMMIT)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return "org/name"


def test_pickled_weights_on_the_hub(folder: Path, canary: Path, tmp_path: Path, monkeypatch) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(payload(canary, "zip"))
    model = Model(source=cached(tmp_path, folder, monkeypatch))
    config = load_config(model, CAUSAL)
    with pytest.raises(UserError):
        load_model(model, CAUSAL, config, torch.float32)


CODE = """
open({canary!r}, "w").close()
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, ViTImageProcessor
class OwnConfig(LlamaConfig):
    model_type = "own"
class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
class OwnTokenizer(PreTrainedTokenizerFast):
    pass
class OwnProcessor(ViTImageProcessor):
    pass
"""


def with_code(folder: Path, canary: Path) -> None:
    """Give every loader a class of the repository's own to go for."""
    (folder / "own.py").write_text(CODE.format(canary=str(canary)))
    own = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    own |= {"AutoModel": "own.OwnModel", "AutoModelForImageClassification": "own.OwnModel"}
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "own", "auto_map": own}))
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text()) | {"tokenizer_class": "OwnTokenizer"}
    path.write_text(
        json.dumps({**settings, "auto_map": {"AutoTokenizer": ["own.OwnTokenizer", "own.OwnTokenizer"]}})
    )
    processor = {
        "image_processor_type": "OwnProcessor",
        "auto_map": {"AutoImageProcessor": "own.OwnProcessor"},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text(CODE.format(canary=str(canary)))


LOADERS = {
    "configuration": lambda model: load_config(model, CAUSAL),
    "tokenizer": lambda model: load_tokenizer(model, [], encoder=False),
    "image processor": load_image_processor,
}


def refusal(load, model: Model) -> str:
    """The message, or none if something was loaded."""
    try:
        load(model)
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("answer", ["y\n", ""])
@pytest.mark.parametrize("what", LOADERS)
@pytest.mark.parametrize("where", ["folder", "hub"])
def test_a_repositorys_code(folder, canary, tmp_path, monkeypatch, what, where, answer) -> None:
    """Also where somebody, or a pipe, answers "y" to what transformers would like to ask."""
    with_code(folder, canary)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    source = str(folder) if where == "folder" else cached(tmp_path, folder, monkeypatch)
    message = refusal(LOADERS[what], Model(source=source))
    if what == "configuration":  # of the others, plain classes of transformers may answer
        assert "brings code of its own" in message
        assert "trust_remote_code: true" in message


def test_a_models_code_where_the_configuration_is_known(folder: Path, canary: Path) -> None:
    """The library's own class answers, and not the repository's."""
    with_code(folder, canary)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "llama"}))
    shutil.rmtree(folder / "custom_generate")
    model = Model(source=str(folder))
    loaded, _ = load_model(model, CAUSAL, load_config(model, CAUSAL), torch.float32)
    assert type(loaded).__module__.startswith("transformers.")


def test_code_of_a_pinned_commit_runs_if_it_is_asked_for(folder, tmp_path, monkeypatch) -> None:
    with_code(folder, tmp_path / "trusted")
    shutil.rmtree(folder / "custom_generate")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    name = cached(tmp_path, folder, monkeypatch)
    model = Model(source=name, revision=COMMIT, trust_remote_code=True)
    config = load_config(model, CAUSAL)
    loaded, _ = load_model(model, CAUSAL, config, torch.float32)
    assert type(loaded).__name__ == "OwnModel"
    assert (tmp_path / "trusted").exists()


def test_the_tokenizer_of_another_source_is_never_trusted(folder, canary, tmp_path, monkeypatch) -> None:
    with_code(folder, canary)
    tokenizer = TokenizerSpec(source=str(folder))
    model = Model(source="org/name", revision=COMMIT, trust_remote_code=True, tokenizer=tokenizer)
    refusal(LOADERS["tokenizer"], model)


@pytest.mark.parametrize(
    ("names", "refused"),
    [
        (["config.json"], False),
        (["model.safetensors", "pytorch_model.bin"], False),
        (["model.safetensors.index.json", "training_args.bin"], False),
        (["training_args.bin", "optimizer.pt"], False),
        (["pytorch_model.bin"], True),
        (["consolidated.00.pth"], True),
        (["model.safetensors", "adapter_model.bin"], True),
        (["adapter_model.safetensors", "adapter_model.bin"], False),
    ],
)
def test_which_folders_are_refused(tmp_path: Path, names: list[str], refused: bool) -> None:
    for name in names:
        (tmp_path / name).touch()
    if refused:
        with pytest.raises(UserError, match="pickle"):
            refuse_pickled(tmp_path)
    else:
        refuse_pickled(tmp_path)

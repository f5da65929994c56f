"""The finished model, opened by a process that has never heard of tunesmith."""

import json
import subprocess
import sys

import pytest
import torch
from peft import get_peft_model
from safetensors.torch import load_file

from tunesmith.model.export.save import export_model, fold_target_scale, output_layer
from tunesmith.model.load import Head
from tunesmith.model.tune.apply import apply_tune
from tunesmith.recipe.schema.tune import Lora, Tune
from tunesmith.recipe.tasks.text import REGRESSION, SEQUENCE_CLASSIFICATION

CLASSES = SEQUENCE_CLASSIFICATION
READER = """
import json, sys, torch, transformers
from safetensors.torch import save_file
from peft import {auto_peft} as AutoPeft
torch.set_num_threads(1)
for job in json.loads(sys.argv[1]):
    auto = AutoPeft if job["peft"] else getattr(transformers, job["auto"])
    model = auto.from_pretrained(job["folder"], dtype="auto").eval()
    if not job["peft"]:
        assert str(model.config.dtype) == job["dtype"], model.config.dtype
        assert all(str(p.dtype) == job["dtype"] for p in model.parameters())
    tokenizer = transformers.AutoTokenizer.from_pretrained(job["folder"])
    ids = tokenizer(job["text"], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        save_file({{"logits": model(input_ids=ids).logits, "ids": ids}}, job["folder"] + "/out.safetensors")
assert not any(name.split(".")[0] == "tunesmith" for name in sys.modules)
"""
TEXT = "the löwe invented silly putty 🦁"


def train_a_little(model) -> None:
    """Stand in for training: every learning weight moves."""
    torch.manual_seed(8)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)


def tuned(tiny, case, folder):
    """A model as training leaves it."""
    settings = {"tie_word_embeddings": True} if case["tied"] else {}
    tiny.make("llama", **settings).save_pretrained(folder)
    model, fresh = tiny.reopen(folder, tiny.language, case["frozen"])
    if case["lora"]:
        tune = Tune(lora=Lora(rank=4, dora=case.get("dora", False)))
        model = apply_tune(model, tune, task=tiny.language.task, fresh=fresh, dtype=case["frozen"]).model
    train_a_little(model)
    return model.eval()


F32, BF16 = torch.float32, torch.bfloat16
CASES = {
    "full": {"lora": False, "tied": False, "frozen": F32, "dtype": F32, "merge": False},
    "full, tied, bfloat16": {"lora": False, "tied": True, "frozen": F32, "dtype": BF16, "merge": False},
    "merged": {"lora": True, "tied": False, "frozen": F32, "dtype": F32, "merge": True},
    "merged dora, tied": {
        "lora": True,
        "dora": True,
        "tied": True,
        "frozen": F32,
        "dtype": F32,
        "merge": True,
    },
    "merged, bfloat16": {"lora": True, "tied": True, "frozen": BF16, "dtype": BF16, "merge": True},
    "adapter": {"lora": True, "tied": False, "frozen": F32, "dtype": F32, "merge": False},
}


def left_with(tiny, case, model, folder):
    """The weights that export left, in a model opened in their type (rotary angles stay float32 there)."""
    left = model.base_model.model if hasattr(model, "peft_config") else model
    opened, _ = tiny.reopen(folder / "base", tiny.language, case["dtype"])
    opened.load_state_dict(left.state_dict())
    return opened


def with_adapter(tiny, model, folder):
    """The base model with the adapter in memory copied onto it."""
    base, _ = tiny.reopen(folder / "base", tiny.language)
    opened = get_peft_model(base, model.peft_config["default"])
    opened.load_state_dict(model.state_dict())
    return opened.eval()


@pytest.fixture(scope="module")
def exported(tiny, tokenizer, tmp_path_factory):
    """Each case exported, its logits beforehand, and those that the other process found."""
    root = tmp_path_factory.mktemp("exported")
    ids = tokenizer(TEXT, return_tensors="pt")["input_ids"]
    cases, jobs = {}, []
    for name, case in CASES.items():
        folder = root / name.replace(" ", "-").replace(",", "")
        model = tuned(tiny, case, folder / "base")
        with torch.no_grad():
            before = model(input_ids=ids).logits.float()
        export_model(
            model, tokenizer, folder / "model", card=f"# {name}\n", dtype=case["dtype"], merge=case["merge"]
        )
        bare = not case["lora"] or case["merge"]
        with torch.no_grad():
            exact = (left_with(tiny, case, model, folder) if bare else with_adapter(tiny, model, folder))(
                input_ids=ids
            ).logits
        jobs.append(
            {
                "folder": str(folder / "model"),
                "auto": tiny.language.auto_model,
                "dtype": str(case["dtype"]),
                "peft": not bare,
                "text": TEXT,
            }
        )
        cases[name] = (folder, ids, before, exact)
    code = READER.format(auto_peft="AutoPeftModelForCausalLM")
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(jobs)], capture_output=True, text=True, cwd=root, timeout=200
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return cases


@pytest.mark.parametrize("name", CASES)
def test_another_process_gets_the_same_bits(exported, name) -> None:
    folder, ids, before, exact = exported[name]
    found = load_file(folder / "model" / "out.safetensors")
    assert torch.equal(found["ids"], ids)
    assert found["logits"].dtype == exact.dtype == CASES[name]["dtype"]
    assert torch.equal(found["logits"], exact)
    tolerance = 0.05 if CASES[name]["dtype"] == BF16 else 1e-5
    assert (found["logits"].float() - before).abs().max() <= tolerance * before.abs().max()


@pytest.mark.parametrize("name", CASES)
def test_the_folders_hold_what_they_should(exported, name) -> None:
    folder = exported[name][0]
    case = CASES[name]
    files = {path.name for path in (folder / "model").iterdir()}
    assert {"README.md", "tokenizer.json", "chat_template.jinja"} <= files
    assert (folder / "model" / "README.md").read_text() == f"# {name}\n"
    assert ("adapter_config.json" in files) == (case["lora"] and not case["merge"])
    assert ("config.json" in files) == (not case["lora"] or case["merge"])
    assert (folder / "adapter" / "adapter_config.json").is_file() == case["merge"]
    left_over = {path.name for path in folder.iterdir()} - {"base", "model", "adapter"}
    assert not left_over
    if "config.json" in files:
        config = json.loads((folder / "model" / "config.json").read_text())
        assert config["dtype"] == str(case["dtype"]).removeprefix("torch.")
        assert "quantization_config" not in config
        weights = load_file(folder / "model" / "model.safetensors")
        assert {weight.dtype for weight in weights.values()} == {case["dtype"]}
        assert ("lm_head.weight" in weights) != case["tied"]


def test_the_bare_adapter_beside_a_merged_model_gives_the_same_answers(exported, tiny) -> None:
    from peft import PeftModel

    folder, ids, before, _ = exported["merged"]
    base, _ = tiny.reopen(folder / "base", tiny.language)
    found = PeftModel.from_pretrained(base, folder / "adapter").eval()(input_ids=ids).logits
    assert (found - before).abs().max() <= 1e-5 * before.abs().max()


def test_an_older_export_is_replaced_as_a_whole(tiny, tokenizer, tmp_path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "stale.txt").write_text("old")
    export_model(tiny.make("llama"), tokenizer, folder, card="", dtype=F32, merge=False)
    assert not (folder / "stale.txt").exists()
    assert (folder / "model.safetensors").is_file()


def regression_model(tiny, lora: bool, folder):
    tiny.make("bert", Head(REGRESSION)).save_pretrained(folder)
    model, fresh = tiny.reopen(folder, Head(REGRESSION))
    if not lora:
        return model
    fresh = frozenset({"classifier.weight", "classifier.bias"})
    return apply_tune(model, Tune(lora=Lora()), task=CLASSES, fresh=fresh, dtype=F32).model.eval()


@pytest.mark.parametrize("lora", [False, True])
def test_a_folded_scale_gives_the_units_of_the_user(tiny, tokenizer, tmp_path, lora) -> None:
    model = regression_model(tiny, lora, tmp_path / "base")
    train_a_little(model)
    standard = model(input_ids=tiny.ids).logits
    fold_target_scale(model, mean=-40.0, scale=12.5)
    torch.testing.assert_close(model(input_ids=tiny.ids).logits, standard * 12.5 - 40, rtol=1e-5, atol=1e-4)
    export_model(model, tokenizer, tmp_path / "model", card="", dtype=F32, merge=True)
    reopened, fresh = tiny.reopen(tmp_path / "model", Head(REGRESSION))
    assert not fresh
    found = reopened(input_ids=tiny.ids).logits
    torch.testing.assert_close(found, standard * 12.5 - 40, rtol=1e-4, atol=1e-3)


def test_the_output_layer_is_the_last_of_the_head() -> None:
    from transformers import RobertaConfig, RobertaForSequenceClassification

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = RobertaForSequenceClassification(RobertaConfig(vocab_size=30, num_labels=1, **sizes))
    assert output_layer(model) is model.classifier.out_proj

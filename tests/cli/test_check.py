"""``check`` names what headers of files and a configuration show, without weights and without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]

LLAMA = {
    "model_type": "llama",
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 64,
}
BERT = {**LLAMA, "model_type": "bert", "type_vocab_size": 2}
RECIPE = """\
task: {task}
model: {{source: ./base}}
data:
  train: {{source: ./rows.jsonl, {fields}}}
  eval: {{holdout: 2}}
optimizer: {{learning_rate: 1e-3}}
batch: {{size: 4}}
{more}
"""


def folder(config: dict[str, object], *, weights: bool = True) -> None:
    Path("base").mkdir(exist_ok=True)
    Path("base/config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    if weights:
        Path("base/model.safetensors").write_bytes(b"")  # check looks at names, never into weights


def rows(**columns: object) -> None:
    lines = [{"text": f"row {n}", "label": "ab"[n % 2], "topic": "x", **columns} for n in range(12)]
    Path("rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def recipe(task: str, fields: str, more: str = "") -> Path:
    Path("r.yaml").write_text(RECIPE.format(task=task, fields=fields, more=more))
    return Path("r.yaml")


CLASSES, CHAT = "sequence-classification", "causal-lm"


@pytest.mark.parametrize(
    ("task", "fields", "more", "said"),
    [
        (
            CLASSES,
            "text: txt, label: lable",
            "",
            ["column `txt`", "did you mean `text`", "column `lable`", "2 mistakes"],
        ),
        (CLASSES, "text: text", "", ["`text` needs `label` beside it"]),
        (CLASSES, "text: text, label: label", "eval: {slices: topics}", ["column `topics`", "`topic`"]),
        (CLASSES, "text: text, label: label", "eval: {cluster: who}", ["column `who`"]),
        (CLASSES, "text: text, label: label", "tune: {layers: {match: nothing}}", ["matches no parameter"]),
        (CLASSES, "text: text, label: label", "tune: {lora: {targets: valeu}}", ["valeu", "value"]),
        (
            CLASSES,
            "text: text, label: label",
            "tune: {layers: head, lora: {}}",
            ["cannot stand together", "save_modules", "r.yaml:8:"],
        ),
        (CHAT, "prompt: text, completion: label", "", ["`bert` model is an encoder", "r.yaml:2:"]),
        (CLASSES, "text: text, label: list", "", ["`list` holds lists", "one class a row", "multi-label"]),
        ("regression", "text: text, target: label", "", ["`label`", "not a number"]),
    ],
)
def test_a_mistake_in_what_the_recipe_names(
    tunesmith: Command, task: str, fields: str, more: str, said: list[str]
):
    folder(BERT)
    rows(list=["a", "b"])
    status, out, err = tunesmith("check", recipe(task, fields, more))
    assert (status, out) == (2, "")
    for words in said:
        assert words in err
    assert "Traceback" not in err


def test_every_mistake_of_several_files_is_named_at_once(tunesmith: Command):
    folder(BERT)
    rows()
    status, _, err = tunesmith("check", recipe(CHAT, "prompt: txet, completion: label"))
    assert status == 2
    assert "column `txet`" in err
    assert "is an encoder" in err
    assert "r.yaml:4:" in err


@pytest.mark.parametrize("columns", ["{targets: [q_proj, v_prj]}", "{targets: nope}"])
def test_targets_that_match_nothing(tunesmith: Command, columns: str):
    folder(LLAMA)
    rows()
    tune = f"tune: {{lora: {columns}}}"
    status, _, err = tunesmith("check", recipe(CHAT, "prompt: text, completion: label", tune))
    assert status == 2
    assert "matches no" in err or "match no" in err
    assert "r.yaml:8:" in err


def test_a_length_beyond_the_model_and_a_folder_without_weights(tunesmith: Command):
    folder(LLAMA, weights=False)
    rows()
    path = recipe(CHAT, "prompt: text, completion: label")
    assert "holds no weights" in tunesmith("check", path)[2]
    folder(LLAMA)
    status, _, err = tunesmith("check", path, "data.max_length=65")
    assert status == 2
    assert "64 positions" in err


def test_what_is_right_passes_without_torch_and_says_what_was_not_seen(tmp_path: Path, tunesmith: Command):
    folder(LLAMA)
    rows()
    path = recipe(CHAT, "prompt: text, completion: label", "tune: {lora: {targets: [q_proj, v_proj]}}")
    assert tunesmith("check", path) == (
        0,
        f"r.yaml: good (task {CHAT}, run directory runs/r, `tunesmith launchable r.yaml` would let "
        "`accelerate launch` run it)\n",
        "",
    )
    code = (
        "import sys; from tunesmith.cli.main import command_line\n"
        "try: command_line(['check', 'r.yaml'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    status, out, err = tunesmith("check", path, "model.source=org/name", "optimizer.learning_rate=1")
    assert status == 0
    assert "not looked at: `org/name` is on the hub" in err
    assert "warning: `optimizer.learning_rate` 1 is 5,000 times the 0.0002" in out


def test_an_encoder_made_a_decoder_is_one(tunesmith: Command):
    folder({**BERT, "is_decoder": True})
    rows()
    assert tunesmith("check", recipe(CHAT, "prompt: text, completion: label"))[0] == 0


@pytest.mark.parametrize(
    ("exclude", "words"),
    [
        ("rows.jsonl:1", ""),
        ("[rows.jsonl:1, ids.txt]", ""),
        ("[rows.jsonl:1, row.jsonl:1, x:2]", "did you mean `rows.jsonl`?"),
        ("idz.txt", "there is no file"),
        ("rows.jsonl", "rows.jsonl:1"),
        ("''", "is empty"),
        ("3", "data.exclude"),
    ],
)
def test_rows_that_are_left_out(tunesmith: Command, exclude: str, words: str):
    folder(BERT)
    rows()
    Path("ids.txt").write_text("rows.jsonl:3\n")
    path = recipe(CLASSES, "text: text, label: label")
    status, _, err = tunesmith("check", path, f"data.exclude={exclude}")
    assert status == (2 if words else 0), err
    assert words in err

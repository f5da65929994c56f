"""Recipes that are nearly right, in every way that a person or a program gets them wrong; from a seed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Mapping
from typing import Any

LLAMA = {
    "model_type": "llama",
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 64,
}
BERT = {**LLAMA, "model_type": "bert"}
RESNET = {
    "model_type": "resnet",
    "embedding_size": 8,
    "hidden_sizes": [8, 16],
    "depths": [1, 1],
    "layer_type": "basic",
}
TASKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "causal-lm": (
        {"new": LLAMA, "tokenizer": {"train": {"vocab_size": 270}}},
        {"prompt": "question", "completion": "answer"},
    ),
    "sequence-classification": (
        {"new": BERT, "tokenizer": {"train": {"vocab_size": 270}}},
        {"text": "question", "label": "kind"},
    ),
    "regression": (
        {"new": BERT, "tokenizer": {"train": {"vocab_size": 270}}},
        {"text": "question", "target": "number"},
    ),
    "image-classification": ({"new": RESNET, "image_size": 32}, {"image": "picture", "label": "kind"}),
}
MORE_TASKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **TASKS,  # those above stay as they are: a seed of long ago is to give the same recipe
    "token-classification": (
        {"new": BERT, "tokenizer": {"train": {"vocab_size": 270}}},
        {"fields": {"tokens": "question", "tags": "question"}},
    ),
    "embedding": (
        {"new": BERT, "tokenizer": {"train": {"vocab_size": 270}}},
        {"fields": {"anchor": "question", "positive": "kind"}},
    ),
    "masked-lm": ({"new": BERT, "tokenizer": {"train": {"vocab_size": 270}}}, {"text": "question"}),
}
ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    3,
    7,
    64,
    10**6,
    10**12,
    2**63,
    -(2**63),
    0.5,
    -0.0,
    1e-30,
    1e30,
    1e400,
    float("nan"),
    "",
    " ",
    "x",
    "no",
    "auto",
    "none",
    "all",
    "head",
    "null",
    "1",
    "1e3",
    "20 steps",
    "0.5 epochs",
    "0 steps",
    "10m",
    "./rows.jsonl",
    "./nothing",
    ".",
    "..",
    "/",
    "~",
    "org/name",
    "pypi:a==1/b",
    "python:rows:make",
    "python:os:getcwd",
    "hub:wer",
    "question",
    "{question} {answer}",
    "{nothing}",
    "{",
    "}}",
    "{question!r:>10}",
    "(",
    ".*",
    "(a+)+$",
    "[",
    "😀",
    "é",
    "a\nb",
    "\u202e",
    "x" * 500,
    [],
    [[]],
    [None],
    ["head", {"last": 1}],
    {},
    {"": 1},
    {"a": {"b": [1]}},
    {"last": 1},
    {"match": "layers"},
    {"holdout": 4},
    {"holdout": 0.5, "stratify": "kind"},
    {"steps": 1},
    {"lora": {"rank": 2}},
]
_KEYS = """
task model.source model.revision model.sha256 model.new model.new.model_type model.new.hidden_size
model.new.num_hidden_layers model.new.num_attention_heads model.new.vocab_size model.new.intermediate_size
model.new.max_position_embeddings model.new.hidden_sizes model.new.depths model.new.layer_type
model.new.num_labels model.new.pad_token_id model.new.id2label model.new.problem_type model.new.hidden_act
model.new.num_key_value_heads model.new.attention_dropout model.new.torch_dtype model.new.dtype
model.new.tie_word_embeddings model.tokenizer model.tokenizer.source model.tokenizer.train
model.tokenizer.train.vocab_size model.chat_template model.dtype model.image_size model.attention
model.trust_remote_code data.train data.train.source data.train.revision data.train.sha256
data.train.name data.train.split data.train.format data.train.encoding data.train.columns data.train.pattern
data.train.arguments data.train.weight data.train.limit data.train.values data.train.values.kind
data.train.system
data.train.messages data.train.prompt data.train.completion data.train.instruction data.train.input
data.train.output data.train.conversations data.train.text data.train.label data.train.target
data.train.image
data.eval data.eval.holdout data.eval.stratify data.eval.source data.clean data.clean.empty
data.clean.malformed data.clean.duplicates data.clean.near_duplicates data.clean.near_threshold
data.clean.leakage data.max_length data.overflow data.loss_on data.workers data.cache
tune tune.layers tune.lora tune.lora.rank tune.lora.alpha tune.lora.targets tune.lora.layers
tune.lora.dropout tune.lora.dora tune.lora.rslora tune.save_modules
optimizer optimizer.name optimizer.learning_rate optimizer.weight_decay optimizer.betas optimizer.eps
optimizer.schedule optimizer.warmup optimizer.final_learning_rate optimizer.clip
batch batch.size batch.micro batch.layout batch.checkpointing
eval eval.every eval.metrics eval.baseline eval.batch_size eval.limit eval.samples eval.generate
eval.generate.max_new_tokens eval.generate.batch_size
stop stop.0 stop.0.target stop.0.target.loss stop.0.plateau stop.0.plateau.metric stop.0.plateau.patience
stop.0.divergence stop.0.divergence.factor stop.0.budget stop.0.budget.steps stop.0.budget.tokens
stop.0.budget.epochs stop.0.budget.time
run run.seed run.save_every run.keep run.threads run.merge run.variants run.variants.a
run.variants.a.batch run.variants.a.run extends nonsense
"""
KEYS = _KEYS.split()
CHOICES: dict[str, list[Any]] = {
    "task": list(TASKS),
    "model.dtype": ["auto", "float32", "bfloat16", "float16"],
    "model.attention": ["sdpa", "eager", "flash_attention_2"],
    "model.chat_template": ["none", "{{ messages }}", "{% for m in messages %}", "{{ 1/0 }}", "{{ x.y.z }}"],
    "model.new.model_type": ["llama", "bert", "gpt2", "roberta", "resnet", "vit", "t5", "whisper", "mamba"],
    "data.overflow": ["error", "drop", "truncate"],
    "data.loss_on": ["assistant", "last_assistant", "all"],
    "data.max_length": [1, 2, 3, 8, 64],
    "data.train.format": ["jsonl", "json", "csv", "tsv", "parquet", "text", "hf", "python"],
    "data.train.encoding": ["utf-8", "latin-1", "utf-16", "ascii", "rot13", "idna", "hex"],
    "tune.layers": ["all", "head", "none", {"last": 1}, {"first": 9}, ["head", {"match": "norm"}]],
    "tune.lora": [{}, {"rank": 2}, {"targets": ["q_proj"]}, {"targets": ".*"}, {"layers": {"last": 1}}],
    "tune.save_modules": [["lm_head"], ["classifier"], ["model"], ["x"]],
    "optimizer.name": ["adamw", "adafactor"],
    "optimizer.schedule": ["cosine", "linear", "constant"],
    "batch.layout": ["auto", "packed", "padded"],
    "batch.size": [1, 2, 3, 100],
    "eval.metrics": [["exact_match"], ["accuracy"], ["rouge_l", "bleu"], ["pearson"], ["loss", "loss"]],
    "eval.limit": [1, 2],
    "optimizer.learning_rate": [1e-9, 1e-3, 1.0, 1e6, 1e30],
    "optimizer.weight_decay": [0.1, 10.0],
    "optimizer.betas": [[0.9, 0.99], [0.0, 0.0], [1.0, 1.0], [2.0, 0.5], [0.9]],
    "optimizer.eps": [1e-12, 1.0],
    "optimizer.warmup": [0, 0.5, 1, 100],
    "optimizer.clip": [1e-9, 1e9, None],
    "batch.micro": [1, 2, 3, 4],
    "batch.checkpointing": [True],
    "model.image_size": [1, 8, 33],
    "model.tokenizer.train.vocab_size": [1, 256, 300, 10**6],
    "model.new.hidden_size": [1, 7, 16, 1000],
    "model.new.num_hidden_layers": [0, 1, 3],
    "model.new.num_attention_heads": [0, 1, 3, 8],
    "model.new.vocab_size": [0, 5, 270, 300],
    "model.new.max_position_embeddings": [0, 1, 4, 16],
    "model.new.pad_token_id": [0, -1, 5, 10**6, None],
    "model.new.hidden_act": ["relu", "gelu", "nothing"],
    "data.eval.holdout": [1, 2, 15, 16, 100, 0.5, 0.999],
    "data.eval": [{"source": "./rows.jsonl"}, {"holdout": 2, "stratify": "kind"}],
    "data.train.weight": [0.5, 2, 1e9],
    "data.train.limit": [1, 2, 5, 6, 100],
    "data.train.values": [{"kind": {"k0": "a"}}, {"nothing": {"a": "b"}}, {"kind": {"k0": "", "k1": ""}}],
    "data.clean.duplicates": ["drop", "keep", "error"],
    "data.clean.near_duplicates": ["drop", "error"],
    "data.clean.near_threshold": [0.01, 1.0],
    "data.clean.leakage": ["drop", "keep", "error"],
    "eval.every": ["1 step", "1 token", 1, "0.001 epochs"],
    "eval.baseline": [True],
    "eval.samples": [0, 1000],
    "eval.generate.max_new_tokens": [1, 3, 100],
    "stop": [[{"budget": {"steps": 2}}, {"target": {"loss": 100}}], [{"budget": {"tokens": 1}}]],
    "stop.0.budget": [{"time": "1s"}, {"epochs": 0.01}, {"steps": 1, "tokens": 5}, {"epochs": 1}],
    "run.seed": [1, 2**32 - 1],
    "run.save_every": ["1 step"],
    "run.keep": [1, 100],
    "run.merge": ["yes", "no", "auto"],
    "run.variants": [{"a": {"batch.size": 2}}, {"a/b": {"x": 1}}, {"..": {}}, {"a": {"run.dir": "x"}}],
}


def base(draw: random.Random, tasks: Mapping[str, Any] = TASKS) -> dict[str, Any]:
    """A recipe that is right, of one of the tasks, which takes one step."""
    task = draw.choice(list(tasks))
    model, fields = tasks[task]
    recipe = {
        "task": task,
        "model": {**model, "dtype": "float32"},
        "data": {"train": {"source": "./rows.jsonl", **fields}, "eval": {"holdout": 4}},
        "optimizer": {"learning_rate": 1e-3},
        "batch": {"size": 4},
        "eval": {"baseline": False, "samples": 2},
        "stop": [{"budget": {"steps": 1}}],
        "run": {"threads": 1},
    }
    return copy.deepcopy(recipe)


def put(tree: Any, path: list[str], value: Any) -> None:
    """Set what a dotted path names, as far as the tree lets one."""
    for step in path[:-1]:
        if isinstance(tree, list):
            tree = tree[0] if tree else {}
        elif isinstance(tree, dict):
            if not isinstance(tree.get(step), dict | list):
                tree[step] = {}
            tree = tree[step]
        else:
            return
    if isinstance(tree, dict):
        tree[path[-1]] = value
    elif isinstance(tree, list) and tree and path[-1] == "0":
        tree[0] = value


def a_value(draw: random.Random, key: str) -> Any:
    if key in CHOICES and draw.random() < 0.85:
        return draw.choice(CHOICES[key])
    return draw.choice(ODD)


def a_text(draw: random.Random, recipe: dict[str, Any]) -> bytes:
    """The recipe as YAML (JSON is), sometimes with signs exchanged, cut, doubled or strange."""
    text = json.dumps(recipe, indent=1, ensure_ascii=draw.random() < 0.5)
    text = text.replace("NaN", ".nan").replace("-Infinity", "-.inf").replace("Infinity", ".inf")
    for _ in range(draw.choice([0] * 8 + [1, 2])):
        at, more = draw.randrange(len(text)), draw.randrange(6)
        odd = draw.choice(
            ["\x00", "\t", "{", "]", ":", "- ", "&a ", "*a ", "!!python/object:os.system ", '"', "\n"]
        )
        text = text[:at] + odd + text[at + more :]
    raw = text.encode("utf-8", "surrogatepass")
    if draw.random() < 0.03:
        at = draw.randrange(len(raw))
        raw = raw[:at] + bytes([draw.randrange(128, 256)]) + raw[at:]
    return raw[: draw.randrange(len(raw))] if draw.random() < 0.03 else raw


def a_recipe(seed: int) -> tuple[bytes, list[str]]:
    """A recipe and overrides for it."""
    draw = random.Random(f"recipe {seed}")
    recipe, overrides = base(draw), []
    for _ in range(draw.choice([1, 1, 1, 2, 2, 3])):
        key = draw.choice(list(CHOICES) if draw.random() < 0.6 else KEYS)
        if draw.random() < 0.1:
            key = key[:-1] if len(key) > 1 else key + "s"
        if draw.random() < 0.25:
            value = a_value(draw, key)
            overrides.append(
                f"{key}={value if isinstance(value, str) else json.dumps(value)}".replace("\0", "")
            )
        else:
            put(recipe, key.split("."), copy.deepcopy(a_value(draw, key)))
    return a_text(draw, recipe), overrides

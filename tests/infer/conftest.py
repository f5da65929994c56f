"""Finished runs with tiny random models, one a task, as training would leave them."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

RECIPE = """\
task: {task}
model: {{source: /nowhere/base}}
data:
  train: [{{source: /nowhere/gone.jsonl, {fields}}}]
optimizer: {{learning_rate: 0.001}}
batch: {{size: 8}}
run: {{dir: runs/tiny}}
"""

WORDS = ["the moon turns orange", "who invented silly putty ?", "how many airports are there ?", "löwe 🦁 né"]


def train_tokenizer(*, encoder: bool = False):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(WORDS, trainer)
    if encoder:
        end = [("<|end|>", tokenizer.token_to_id("<|end|>"))]
        tokenizer.post_processor = processors.TemplateProcessing(single="$A <|end|>", special_tokens=end)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<|pad|>", eos_token="<|end|>")
    fast.chat_template = None if encoder else TEMPLATE
    return fast


def save_run(folder: Path, task: str, fields: str, model, *processors) -> Path:
    (folder / "model").mkdir(parents=True)
    (folder / "recipe.yaml").write_text(RECIPE.format(task=task, fields=fields), encoding="utf-8")
    for part in (model, *processors):
        part.save_pretrained(folder / "model")
    return folder


def tiny_llama():
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    # a wide spread of weights: answers that differ between prompts, and no two logits nearly equal
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    tokens = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": None}
    config = LlamaConfig(
        vocab_size=320, max_position_embeddings=256, initializer_range=0.8, **sizes, **tokens
    )
    return LlamaForCausalLM(config).eval()


def tiny_bert(labels: int, **settings):
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(5)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = BertConfig(
        vocab_size=320,
        max_position_embeddings=64,
        initializer_range=0.5,
        num_labels=labels,
        **sizes,
        **settings,
    )
    return BertForSequenceClassification(config).eval()


PROMPTED = "prompt: 'What kind of question is this? {text}', completion: label"


@pytest.fixture(scope="session")
def language_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("language") / "run"
    return save_run(folder, "causal-lm", PROMPTED, tiny_llama(), train_tokenizer())


@pytest.fixture(scope="session")
def labels_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = {0: "ABBR", 1: "HUM", 2: "no"}
    model = tiny_bert(3, id2label=names, label2id={name: index for index, name in names.items()})
    folder = tmp_path_factory.mktemp("labels") / "run"
    fields = "text: text, label: kind, values: {kind: {'0': ABBR, '1': HUM, '2': no}}"
    return save_run(folder, "sequence-classification", fields, model, train_tokenizer(encoder=True))


@pytest.fixture(scope="session")
def numbers_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("numbers") / "run"
    model = tiny_bert(1, problem_type="regression")
    return save_run(folder, "regression", "text: text, target: rating", model, train_tokenizer(encoder=True))


@pytest.fixture(scope="session")
def images_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

    torch.manual_seed(7)
    config = ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        layer_type="basic",
        id2label={0: "black", 1: "white"},
        label2id={"black": 0, "white": 1},
    )
    folder = tmp_path_factory.mktemp("images") / "run"
    processor = ViTImageProcessor(size={"height": 32, "width": 32})
    model = ResNetForImageClassification(config).eval()
    return save_run(folder, "image-classification", "image: image, label: label", model, processor)


def write_rows(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read_lines(path: Path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The makers above, for tests that need more than the runs."""
    return SimpleNamespace(
        RECIPE=RECIPE,
        save_run=save_run,
        tiny_llama=tiny_llama,
        train_tokenizer=train_tokenizer,
        write_rows=write_rows,
        read_lines=read_lines,
    )

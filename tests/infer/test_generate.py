"""A file goes in, a file of answers comes out: the same whatever the batch, and the same as transformers'."""

import json
from itertools import takewhile
from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.infer.generate import generate_file
from tunesmith.model.end_tokens import end_tokens_of

TEXTS = ["a", "who invented the moon ?", "löwe 🦁", "how many " * 8, "silly putty turns orange", "the", "é"]
ROWS = [{"text": text, "label": f"kind {index}"} for index, text in enumerate(TEXTS)]


@pytest.fixture
def rows(tmp_path: Path, make) -> Path:
    return make.write_rows(tmp_path / "in.jsonl", ROWS)


def test_batches_change_nothing(language_run, rows, tmp_path, make) -> None:
    outputs = []
    for size in (1, 3, 16):
        out = tmp_path / f"out{size}.jsonl"
        assert generate_file(language_run, rows, out, max_new_tokens=12, batch_size=size) == len(ROWS)
        outputs.append(make.read_lines(out))
    assert outputs[0] == outputs[1] == outputs[2]
    assert len({line["output"] for line in outputs[0]}) == len(ROWS), "every prompt has its own answer"


def test_lines_say_what_was_asked_answered_and_right(language_run, rows, tmp_path, make) -> None:
    generate_file(language_run, rows, tmp_path / "out.jsonl", max_new_tokens=2)
    lines = make.read_lines(tmp_path / "out.jsonl")
    assert [line["id"] for line in lines] == [f"in.jsonl:{number}" for number in range(1, len(ROWS) + 1)]
    assert [line["reference"] for line in lines] == [row["label"] for row in ROWS]
    assert lines[1]["input"] == "What kind of question is this? who invented the moon ?"
    assert set(lines[0]) == {"id", "input", "output", "reference", "text", "label"}, "own columns are kept"


def test_answers_are_those_of_plain_transformers(language_run, rows, tmp_path, make) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    generate_file(language_run, rows, tmp_path / "out.jsonl", max_new_tokens=12)
    tokenizer = AutoTokenizer.from_pretrained(language_run / "model")
    model = AutoModelForCausalLM.from_pretrained(language_run / "model")
    ends = end_tokens_of(tokenizer, model.generation_config)
    for line in make.read_lines(tmp_path / "out.jsonl"):
        messages = [{"role": "user", "content": line["input"]}]
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False).input_ids
        made = model.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]
        # an answer ends before the end token; other special tokens are written as they are
        answer = list(takewhile(lambda token: token not in ends, made.tolist()))
        said = tokenizer.decode(answer, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        assert line["output"] == said.strip()


def test_an_adapter_opens_on_its_base(language_run, rows, tmp_path, make) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = language_run / "model"
    adapted = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(r=4, init_lora_weights=False, task_type="CAUSAL_LM"),
    )
    run = make.save_run(
        tmp_path / "adapter", "causal-lm", "prompt: text, completion: label", adapted, make.train_tokenizer()
    )
    whole = adapted.merge_and_unload()
    merged = make.save_run(
        tmp_path / "merged", "causal-lm", "prompt: text, completion: label", whole, make.train_tokenizer()
    )
    for name, folder in (("a", run), ("m", merged), ("b", language_run)):
        generate_file(folder, rows, tmp_path / f"{name}.jsonl", max_new_tokens=8)
    answers = {
        name: [line["output"] for line in make.read_lines(tmp_path / f"{name}.jsonl")] for name in "amb"
    }
    assert answers["a"] == answers["m"]
    assert answers["a"] != answers["b"]


def test_labels_come_with_their_probability(labels_run, tmp_path, make) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    rows = make.write_rows(tmp_path / "in.jsonl", [{"text": text, "kind": "2"} for text in TEXTS])
    generate_file(labels_run, rows, tmp_path / "out.jsonl", batch_size=3)
    model = AutoModelForSequenceClassification.from_pretrained(labels_run / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(labels_run / "model")
    for line in make.read_lines(tmp_path / "out.jsonl"):
        with torch.no_grad():
            shares = model(**tokenizer(line["input"], return_tensors="pt")).logits.softmax(-1)[0]
        assert line["output"] == model.config.id2label[int(shares.argmax())]
        assert line["probability"] == pytest.approx(float(shares.max()), abs=1e-5)
        assert line["reference"] == "no"


def test_every_label_has_its_probability_where_that_is_asked_for(labels_run, language_run, tmp_path, make):
    rows = make.write_rows(tmp_path / "in.jsonl", [{"text": text} for text in TEXTS])
    generate_file(labels_run, rows, tmp_path / "out.jsonl", every_label=True)
    for line in make.read_lines(tmp_path / "out.jsonl"):
        assert set(line["probabilities"]) == {"ABBR", "HUM", "no"}
        assert sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert line["probability"] == max(line["probabilities"].values())
    with pytest.raises(UserError, match="has no labels"):
        generate_file(language_run, rows, tmp_path / "out.jsonl", every_label=True, overwrite=True)


@pytest.mark.parametrize("run", ["language_run", "labels_run", "images_run"])
def test_an_empty_row_is_counted_and_the_others_are_answered(run, request, tmp_path, make, capsys) -> None:
    from PIL import Image

    Image.new("L", (20, 24), 10).save(tmp_path / "dark.png")
    full = {"text": "the moon", "image": "dark.png", "kind": "0", "label": "black", "mine": 7}
    rows = make.write_rows(tmp_path / "in.jsonl", [full, {**full, "text": " ", "image": ""}, full])
    assert generate_file(request.getfixturevalue(run), rows, tmp_path / "out.jsonl", max_new_tokens=2) == 2
    assert "empty rows left out: 1" in capsys.readouterr().err
    assert [(line["id"], line["mine"]) for line in make.read_lines(tmp_path / "out.jsonl")] == [
        ("in.jsonl:1", 7),
        ("in.jsonl:3", 7),
    ]


def test_columns_called_like_ours_are_kept_under_another_name(language_run, tmp_path, make) -> None:
    rows = make.write_rows(
        tmp_path / "in.jsonl", [{"id": 9, "text": "the moon", "label": "x", "output": "y"}]
    )
    generate_file(language_run, rows, tmp_path / "out.jsonl", max_new_tokens=2)
    [line] = make.read_lines(tmp_path / "out.jsonl")
    assert (line["id"], line["own_output"], line["text"]) == (9, "y", "the moon")
    assert "own_id" not in line


def test_numbers_are_those_of_plain_transformers(numbers_run, tmp_path, make) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    rows = make.write_rows(tmp_path / "in.jsonl", [{"text": text, "rating": 1.5} for text in TEXTS])
    generate_file(numbers_run, rows, tmp_path / "out.jsonl", batch_size=4)
    model = AutoModelForSequenceClassification.from_pretrained(numbers_run / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(numbers_run / "model")
    for line in make.read_lines(tmp_path / "out.jsonl"):
        with torch.no_grad():
            wanted = model(**tokenizer(line["input"], return_tensors="pt")).logits.item()
        assert line["output"] == pytest.approx(wanted, abs=1e-5)
        assert line["reference"] == 1.5


def test_images_are_found_beside_the_file(images_run, tmp_path, make) -> None:
    from PIL import Image

    for name, colour in (("dark.png", 10), ("light.png", 245)):
        Image.new("L", (20, 24), colour).save(tmp_path / name)
    rows = make.write_rows(
        tmp_path / "in.jsonl", [{"image": "dark.png"}, {"image": "light.png", "label": "white"}]
    )
    generate_file(images_run, rows, tmp_path / "out.jsonl")
    lines = make.read_lines(tmp_path / "out.jsonl")
    assert [line["output"] in {"black", "white"} for line in lines] == [True, True]
    assert lines[0]["input"] == str(tmp_path / "dark.png")
    assert lines[1]["reference"] == "white"
    assert lines[0]["probability"] != lines[1]["probability"]


def test_an_existing_output_stays(language_run, rows, tmp_path, make) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("precious")
    with pytest.raises(UserError, match="exists already") as caught:
        generate_file(language_run, rows, out)
    assert "--force" in str(caught.value)
    assert out.read_text() == "precious"
    generate_file(language_run, rows, out, max_new_tokens=1, overwrite=True)
    assert len(make.read_lines(out)) == len(ROWS)


def test_the_input_is_never_written_over(language_run, rows) -> None:
    before = rows.read_text()
    with pytest.raises(UserError, match="same file"):
        generate_file(language_run, rows, rows, overwrite=True)
    assert rows.read_text() == before


@pytest.mark.parametrize("place", ["", "no/such/folder/out.jsonl"])
def test_an_output_that_cannot_be(language_run, rows, tmp_path, place: str) -> None:
    with pytest.raises(UserError, match="folder"):
        generate_file(language_run, rows, tmp_path / place)


def test_a_bad_row_leaves_no_output(language_run, tmp_path) -> None:
    rows = tmp_path / "in.jsonl"
    rows.write_text('{"text": "a"}\nnot json\n')
    with pytest.raises(UserError, match=r"in\.jsonl:2"):
        generate_file(language_run, rows, tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_a_row_too_long_is_named(language_run, tmp_path, make) -> None:
    rows = make.write_rows(tmp_path / "in.jsonl", [{"text": "a"}, {"text": "who " * 300}])
    with pytest.raises(UserError, match=r"row `in\.jsonl:2` has \d+ tokens.*256 positions"):
        generate_file(language_run, rows, tmp_path / "out.jsonl")


def test_without_a_template_contents_are_joined(tmp_path, make) -> None:
    tokenizer = make.train_tokenizer()
    tokenizer.chat_template = None
    run = make.save_run(
        tmp_path / "plain", "causal-lm", "prompt: text, completion: label", make.tiny_llama(), tokenizer
    )
    rows = make.write_rows(tmp_path / "in.jsonl", [{"text": "silly putty"}])
    generate_file(run, rows, tmp_path / "out.jsonl", max_new_tokens=6)
    model = make.tiny_llama()
    ids = tokenizer("silly putty", return_tensors="pt").input_ids
    made = model.generate(ids, max_new_tokens=6, do_sample=False)[0, ids.shape[1] :]
    [line] = make.read_lines(tmp_path / "out.jsonl")
    assert line["output"] == tokenizer.decode(made, skip_special_tokens=True).strip()


def test_text_keeps_its_letters(language_run, tmp_path, make) -> None:
    rows = make.write_rows(tmp_path / "in.jsonl", [{"text": "löwe 🦁\nzwei"}])
    generate_file(language_run, rows, tmp_path / "out.jsonl", max_new_tokens=1)
    text = (tmp_path / "out.jsonl").read_text(encoding="utf-8")
    assert "löwe 🦁" in text
    assert len(text.splitlines()) == 1
    assert json.loads(text)["input"].endswith("löwe 🦁\nzwei")

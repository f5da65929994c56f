"""Classes and numbers for texts and images: shapes, order, labels, units."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    ResNetConfig,
    ResNetForImageClassification,
    ViTImageProcessor,
)

from tunesmith.data.row import Row, Skip
from tunesmith.errors import UserError
from tunesmith.tasks.image_classification import ImageClassification, open_image
from tunesmith.tasks.targets import label_names
from tunesmith.tasks.text.regression import Regression
from tunesmith.tasks.text.sequence_classification import SequenceClassification

TEXTS = ["the moon", "a much longer text about the moon, orange", "né", "löwe 🦁 löwe", "x"]
LABELS = ("no", "yes", "maybe")


def tiny_bert(outputs):
    torch.manual_seed(5)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = BertConfig(vocab_size=320, initializer_range=0.5, num_labels=outputs, **sizes)
    return BertForSequenceClassification(config).eval()


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(7)
    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=2
    )
    return ResNetForImageClassification(config).eval()


@pytest.fixture(scope="module")
def images():
    return ImageClassification(ViTImageProcessor(size={"height": 32, "width": 32}), ("0", "1"), batch_size=2)


def picture(value, shape=(8, 8, 3)):
    return np.random.default_rng(value).integers(0, 256, shape, dtype=np.uint8)


def labelled(label="yes"):
    return [Row(f"r:{i}", {"text": text, "label": label}) for i, text in enumerate(TEXTS)]


def check_scores(task, model, examples):
    """Scores in the order of the examples, each that of the example alone."""
    scored = task.score(model, examples, predict=True)
    assert [one.id for one in scored] == [example["id"] for example in examples]
    for one, example in zip(scored, examples, strict=True):
        with torch.no_grad():
            batch = task.collate([example])
            loss = task.loss(model, batch)
        assert batch.count == one.count == 1
        assert one.loss == pytest.approx(float(loss.total), rel=1e-4, abs=1e-6)
    with torch.no_grad():
        batch = task.collate(examples)
        together = task.loss(model, batch)
    assert batch.count == len(examples)
    assert sum(one.loss for one in scored) == pytest.approx(float(together.total), rel=1e-4)
    return scored


def test_texts_to_classes(encoder_tokenizer):
    task, model = SequenceClassification(encoder_tokenizer, LABELS, 64, batch_size=2), tiny_bert(3)
    examples = [task.encode(row) for row in labelled()]
    batch, width = task.collate(examples), max(example["length"] for example in examples)
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (5, width)
    assert batch["labels"].tolist() == [1] * 5
    assert batch["attention_mask"].sum(1).tolist() == [example["length"] for example in examples]
    first = encoder_tokenizer.convert_ids_to_tokens(examples[0]["input_ids"])
    assert (first[0], first[-1]) == ("<|cls|>", "<|end|>")
    with torch.no_grad():  # level the classes, so that the texts decide between them
        model.classifier.bias -= model(batch["input_ids"], batch["attention_mask"]).logits.mean(0)
    scored = check_scores(task, model, examples)
    assert len({one.prediction for one in scored}) > 1
    for one, example in zip(scored, examples, strict=True):
        logits = model(input_ids=torch.tensor([example["input_ids"]])).logits[0]
        assert one.prediction == LABELS[int(logits.argmax())]
        assert one.correct == int(one.prediction == "yes")
        assert one.reference == "yes"


@pytest.mark.parametrize("overflow", ["error", "drop", "truncate"])
def test_long_texts(encoder_tokenizer, overflow):
    task = SequenceClassification(encoder_tokenizer, LABELS, 5, overflow)
    row = labelled()[1]
    if overflow == "error":
        with pytest.raises(UserError, match=r"`r:1` has \d+ tokens, and `data.max_length` is 5"):
            task.encode(row)
    elif overflow == "drop":
        assert task.encode(row).reason == "too_long"
    else:
        found = task.encode(row)
        assert (found["length"], found["truncated"]) == (5, True)
        assert encoder_tokenizer.convert_ids_to_tokens(found["input_ids"])[-1] == "<|end|>"


def test_a_label_that_training_never_saw_is_named(encoder_tokenizer, images):
    task = SequenceClassification(encoder_tokenizer, LABELS, 64)
    with pytest.raises(UserError, match="`r:0` has label `perhaps`") as caught:
        task.encode(labelled("perhaps")[0])
    assert "no, yes, maybe" in caught.value.hint
    with pytest.raises(UserError, match="`p:1` has label `7`"):
        images.encode(Row("p:1", {"image": picture(1), "label": 7}))


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["10", "9", "1", "9"], ("1", "9", "10")),
        (["2", "-1", "b", "a", "10"], ("-1", "2", "10", "a", "b")),
        (["10", "2", "0"], ("0", "2", "10")),
        (["²", "1", "--3"], ("1", "--3", "²")),
        (["01", "1", "0"], ("0", "01", "1")),
    ],
)
def test_labels_in_their_natural_order(labels, names):
    assert label_names(labels) == names


@given(labels=st.lists(st.text(max_size=4) | st.integers().map(str), min_size=2, unique=True))
def test_the_order_of_labels_does_not_depend_on_that_of_rows(labels):
    assert label_names(labels) == label_names(labels[::-1])


@pytest.mark.parametrize("labels", [[], ["a", "a"]])
def test_fewer_than_two_classes_are_refused(labels):
    with pytest.raises(UserError, match=f"hold {len(set(labels))} label"):
        label_names(labels)


def test_texts_to_numbers_in_the_users_units(encoder_tokenizer):
    task, model = Regression(encoder_tokenizer, 50.0, 4.0, 64, batch_size=2), tiny_bert(1)
    targets = [46.0, 50.0, 54.0, 58.0, 62.0]
    rows = [Row(f"r:{i}", {"text": TEXTS[i], "target": target}) for i, target in enumerate(targets)]
    examples = [task.encode(row) for row in rows]
    batch = task.collate(examples)
    assert batch["labels"].tolist() == [-1.0, 0.0, 1.0, 2.0, 3.0]
    assert batch["input_ids"].shape == batch["attention_mask"].shape
    for one, example in zip(check_scores(task, model, examples), examples, strict=True):
        output = float(model(input_ids=torch.tensor([example["input_ids"]])).logits)
        assert one.prediction == pytest.approx(output * 4 + 50, rel=1e-4)
        assert one.reference == example["target"]
        assert one.loss == pytest.approx(((one.prediction - one.reference) / 4) ** 2, rel=1e-3, abs=1e-6)


def test_huber_is_the_squared_error_below_its_delta_and_grows_by_size_above(encoder_tokenizer):
    task, model = Regression(encoder_tokenizer, 0.0, 1.0, 64, huber_delta=1.0), tiny_bert(1)
    rows = [Row(f"r:{i}", {"text": TEXTS[i], "target": target}) for i, target in enumerate([0.0, 9.0])]
    examples = [task.encode(row) for row in rows]
    found = [float(task.loss(model, task.collate([example])).total) for example in examples]
    errors = [abs(one.prediction - one.reference) for one in task.score(model, examples, predict=True)]
    assert errors[0] < 1 < errors[1]
    assert found == pytest.approx([errors[0] ** 2, 2 * (errors[1] - 0.5)], rel=1e-4, abs=1e-6)
    assert float(task.loss(model, task.collate(examples)).total) == pytest.approx(sum(found), rel=1e-5)


@pytest.mark.parametrize(
    ("targets", "mean", "scale"), [([1, 2, 3, 6], 3, math.sqrt(3.5)), ([7, 7, 7], 7, 1), ([4], 4, 1)]
)
def test_targets_are_standardised_over_the_training_rows(encoder_tokenizer, targets, mean, scale, tmp_path):
    from tunesmith.recipe.load import load_recipe
    from tunesmith.tasks.build import build_task
    from tunesmith.tasks.task import TaskInputs

    (tmp_path / "rows.jsonl").write_text('{"text": "x", "target": 1}\n')
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "task: regression\nmodel: {source: .}\n"
        "data: {train: [{source: ./rows.jsonl, text: text, target: target}]}\n"
        "optimizer: {learning_rate: 0.001}\nbatch: {size: 8}\n"
    )
    rows = [Row("r", {"text": "x", "target": target}) for target in targets]
    task = build_task(TaskInputs(load_recipe(path), encoder_tokenizer, 64, rows))
    assert (task.mean, task.scale) == (pytest.approx(mean), pytest.approx(scale))
    if len(targets) > 2:
        labels = task.collate([task.encode(row) for row in rows])["labels"]
        assert float(labels.mean()) == pytest.approx(0, abs=1e-6)
        assert float(labels.std(unbiased=False)) == pytest.approx(1 if scale != 1 else 0, rel=1e-5)


def test_images_to_classes(images, resnet, tmp_path):
    from PIL import Image

    Image.fromarray(picture(3)).save(tmp_path / "a.png")
    values = [picture(1), str(tmp_path / "a.png"), Image.fromarray(picture(2)), picture(4, (8, 8))]
    rows = [Row(f"p:{i}", {"image": value, "label": i % 2}) for i, value in enumerate(values)]
    examples = [images.encode(row) for row in rows]
    batch = images.collate(examples)
    assert batch["pixel_values"].shape == (4, 3, 32, 32)
    assert batch["labels"].tolist() == [0, 1, 0, 1]
    scored = check_scores(images, resnet, examples)
    assert [one.reference for one in scored] == ["0", "1", "0", "1"]
    assert scored[1].input == str(tmp_path / "a.png")


def test_a_file_that_is_no_image_is_left_out(images, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    for image in (str(tmp_path / "a.png"), str(tmp_path / "gone.png"), [[300.5]]):
        skip = images.encode(Row("p:1", {"image": image, "label": "0"}))
        assert isinstance(skip, Skip)
        assert (skip.id, skip.reason) == ("p:1", "malformed")


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 1), (6, 4, 3)])
def test_arrays_become_colour_images_of_the_same_pixels(shape):
    array = picture(9, shape)
    image = open_image(array)
    assert (image.mode, image.size) == ("RGB", (4, 6))
    assert np.array_equal(np.asarray(image)[..., 0], array.reshape(6, 4, -1)[..., 0])

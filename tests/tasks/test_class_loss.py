"""How classes and rows are weighed, against scikit-learn and against the formulas written out."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from tunesmith.errors import UserError
from tunesmith.recipe.tasks.text import RegressionSettings, SequenceClassificationSettings
from tunesmith.tasks.class_loss import PLAIN, ClassLoss, balanced_weights, class_loss, given_weights

CLASSES = ("ham", "odd", "spam")


@given(st.lists(st.sampled_from(CLASSES), max_size=40))
def test_balanced_weights_are_scikit_learns(more):
    seen = [*CLASSES, *more]
    counts = {name: seen.count(name) for name in CLASSES}
    found = balanced_weights(counts, CLASSES)
    assert np.allclose(found, compute_class_weight("balanced", classes=np.array(CLASSES), y=seen))
    assert math.isclose(sum(found[CLASSES.index(name)] for name in seen), len(seen))


def written_out(loss: ClassLoss, logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The sum, row by row and class by class."""
    total = 0.0
    weights = loss.weights or (1.0,) * logits.shape[1]
    for row, label in zip(logits.double().tolist(), labels.tolist(), strict=True):
        norm = math.log(sum(math.exp(value) for value in row))
        each = [weight * (norm - value) for weight, value in zip(weights, row, strict=True)]
        entropy = (1 - loss.label_smoothing) * each[label] + loss.label_smoothing * sum(each) / len(row)
        total += (1 - math.exp(row[label] - norm)) ** loss.focal * entropy
    return total


@pytest.mark.parametrize("weights", [(), (1.0, 0.5, 3.0)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("focal", [0.0, 2.0])
def test_a_total_is_the_formula(weights, smoothing, focal):
    loss = ClassLoss(weights, smoothing, focal)
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(16, 3, generator=generator)
    labels = torch.randint(3, (16,), generator=generator)
    assert float(loss.total(logits, labels)) == pytest.approx(written_out(loss, logits, labels), rel=1e-5)
    parts = loss.total(logits[:5], labels[:5]) + loss.total(logits[5:], labels[5:])
    assert float(loss.total(logits, labels)) == pytest.approx(float(parts), rel=1e-6)


SEEN = ("ham", "ham", "ham", "spam")


def inputs(settings, labels=None):
    return SimpleNamespace(recipe=SimpleNamespace(task=settings), finished=labels is not None)


def test_what_a_recipe_asks_for():
    asked = SequenceClassificationSettings(class_weights="balanced", label_smoothing=0.1, focal=2.0)
    assert class_loss(inputs(asked), ("ham", "spam"), SEEN) == ClassLoss((2 / 3, 2.0), 0.1, 2.0)
    assert class_loss(inputs(asked, labels=("ham", "spam")), ("ham", "spam"), SEEN) == PLAIN
    assert class_loss(inputs(SequenceClassificationSettings()), ("ham", "spam"), SEEN) == PLAIN
    assert class_loss(inputs(RegressionSettings()), ("ham", "spam"), SEEN) == PLAIN
    some = SequenceClassificationSettings(class_weights={"spam": 3.0})
    assert class_loss(inputs(some), ("ham", "spam"), SEEN).weights == (1.0, 3.0)


def test_a_weight_of_a_class_that_is_not_there():
    with pytest.raises(UserError, match="`spma`, and no training row has that class") as caught:
        given_weights({"spma": 2.0}, CLASSES)
    assert "did you mean `spam`? the classes are `ham`, `odd` and `spam`" in str(caught.value)

"""What of the metrics a run refuses once it knows the classes."""

from __future__ import annotations

import pytest

from tunesmith.errors import UserError
from tunesmith.metrics.families.ranking import MOST_CLASSES
from tunesmith.prepare.describe import refuse_classes

MANY = [f"c{number}" for number in range(MOST_CLASSES + 1)]


@pytest.mark.parametrize(
    ("names", "labels", "words"),
    [
        (["accuracy", "f1[spam]"], ["ham", "Spam"], "`f1[spam]`: no class is called `spam`"),
        (["roc_auc[eggs]"], ["ham", "spam"], "no class is called `eggs`"),
        (["roc_auc"], MANY, "`roc_auc` needs the probability of each of 101 classes"),
        (["average_precision[c1]"], MANY, "100 classes at most"),
    ],
)
def test_what_the_classes_do_not_allow_is_refused(names, labels, words) -> None:
    with pytest.raises(UserError) as caught:
        refuse_classes(names, labels)
    assert words in str(caught.value)


def test_what_they_allow_passes() -> None:
    refuse_classes(["f1[spam]", "roc_auc", "macro_f1", "python:mine:cost"], ["ham", "spam"])
    refuse_classes(["macro_f1", "f1[c1]", "mcc"], MANY)
    refuse_classes(["f1", "bleu", "mse"], [])

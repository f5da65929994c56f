"""The closed table of tasks: what each needs of a row, and how it is made for a recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.data.row import Row
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.tasks.image_classification import ImageClassification
from tunesmith.tasks.labels import label_names
from tunesmith.tasks.language.causal_lm import CausalLM
from tunesmith.tasks.names import AUTO_MODELS, NEEDS, Fields
from tunesmith.tasks.task import Task
from tunesmith.tasks.text.regression import Regression, standardisation
from tunesmith.tasks.text.sequence_classification import SequenceClassification


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of a task before any data is read.

    Attributes:
        needs: alternatives of fields that a row must have.
        auto_model: name of the transformers auto class.
        images: whether it sees images, and text otherwise.
        encoder: whether sequences open with a token that stands for the whole.
        build: recipe, processor, training rows, longest example and packing in, task out.
    """

    needs: Fields
    auto_model: str
    build: Callable[[Recipe, Any, Sequence[Row], int, bool], Task]
    images: bool = False
    encoder: bool = False


def _causal_lm(recipe: Recipe, tokenizer: Any, rows: Sequence[Row], longest: int, packed: bool) -> Task:
    return CausalLM(
        tokenizer,
        max_length=longest,
        overflow=recipe.data.overflow,
        loss_on=recipe.data.loss_on,
        template=recipe.model.chat_template != "none",
        packed=packed,
        max_new_tokens=recipe.eval.generate.max_new_tokens,
        batch_size=recipe.eval.generate.batch_size,
        rows_per_pass=recipe.eval.batch_size,
        positions=recipe.eval.positions,
    )


def _sequence_classification(
    recipe: Recipe, tokenizer: Any, rows: Sequence[Row], longest: int, packed: bool
) -> Task:
    return SequenceClassification(
        tokenizer, label_names(rows), longest, recipe.data.overflow, recipe.eval.batch_size
    )


def _regression(recipe: Recipe, tokenizer: Any, rows: Sequence[Row], longest: int, packed: bool) -> Task:
    targets = [float(row.fields["target"]) for row in rows]
    mean, spread = standardisation(targets)
    return Regression(tokenizer, mean, spread, longest, recipe.data.overflow, recipe.eval.batch_size)


def _image_classification(
    recipe: Recipe, processor: Any, rows: Sequence[Row], longest: int, packed: bool
) -> Task:
    return ImageClassification(processor, label_names(rows), recipe.eval.batch_size)


TASKS = {
    "causal-lm": Kind(needs=NEEDS["causal-lm"], auto_model=AUTO_MODELS["causal-lm"], build=_causal_lm),
    "sequence-classification": Kind(
        needs=NEEDS["sequence-classification"],
        auto_model=AUTO_MODELS["sequence-classification"],
        build=_sequence_classification,
        encoder=True,
    ),
    "regression": Kind(
        needs=NEEDS["regression"], auto_model=AUTO_MODELS["regression"], build=_regression, encoder=True
    ),
    "image-classification": Kind(
        needs=NEEDS["image-classification"],
        auto_model=AUTO_MODELS["image-classification"],
        build=_image_classification,
        images=True,
    ),
}

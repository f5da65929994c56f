"""One number for a text: an encoder with a single output, mean squared error."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import torch
import torch.nn.functional as F

from tunesmith.data.passes import split_passes, tokens_per_pass
from tunesmith.data.row import Row, Skip
from tunesmith.model.export.save import fold_target_scale, output_layer, unfold_target_scale
from tunesmith.recipe.tasks.text import RegressionSettings
from tunesmith.tasks.targets import standardisation
from tunesmith.tasks.task import Batch, Example, Loss, Scored, Task, TaskInputs
from tunesmith.tasks.text.encoder_inputs import encode_text, pad_batch, show_tokens, without_cache

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Regression(Task):
    """The task ``regression``.

    The model learns standardised targets, ``(target - mean) / scale`` over the training rows; the export
    folds both into the head, so that the finished model answers in the user's own units.
    """

    tokenizer: PreTrainedTokenizerBase
    mean: float
    scale: float
    max_length: int
    overflow: str = "error"
    batch_size: int = 64
    huber_delta: float | None = None

    @classmethod
    def build(cls, inputs: TaskInputs) -> Self:
        """With mean and spread of the training targets; a finished model answers in the user's units."""
        targets = [] if inputs.finished else [float(row.fields["target"]) for row in inputs.rows]
        mean, scale = standardisation(targets) if targets else (0.0, 1.0)
        recipe, task = inputs.recipe, inputs.recipe.task
        huber = task.huber_delta if isinstance(task, RegressionSettings) and task.loss == "huber" else None
        limits = (inputs.max_length, recipe.data.overflow, recipe.eval.batch_size)
        return cls(inputs.processor, mean, scale, *limits, huber)

    def fingerprint(self) -> Mapping[str, Any]:
        """Lengths."""
        return {"max_length": self.max_length, "overflow": self.overflow}

    def show(self, example: Example) -> list[tuple[str, bool]]:
        """Its tokens, and its number."""
        return show_tokens(self.tokenizer, example)

    def fit(self, model: Any, *, fresh_head: bool) -> Self:
        """Turn a head that knows numbers to standardised ones; one without a bias cannot take a mean in."""
        fitted = replace(self, mean=0.0) if output_layer(model).bias is None else self
        if not fresh_head:
            unfold_target_scale(model, fitted.mean, fitted.scale)
        return fitted

    def before_export(self, model: Any) -> None:
        """Fold mean and scale into the head."""
        fold_target_scale(model, self.mean, self.scale)

    def score_delivered(self, model: Any, examples: Sequence[Example]) -> list[Scored]:
        """Score in the user's units, as a delivered model answers, with losses as in training."""
        scored = replace(self, mean=0.0, scale=1.0).score(model, examples, predict=False)
        return [replace(one, loss=one.loss / self.scale**2) for one in scored]

    def encode(self, row: Row) -> Example | Skip:
        """Tokens of the text and its number."""
        text = str(row.fields["text"])
        tokens = encode_text(self.tokenizer, text, row.id, self.max_length, self.overflow)
        if isinstance(tokens, int):
            return Skip(row.id, "too_long", f"{tokens} tokens of at most {self.max_length}")
        target = float(row.fields["target"])
        return {"id": row.id, "input": text, "target": target, "reference": target, "count": 1, **tokens}

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Token ids and mask [B, T], standardised targets [B]."""
        targets = torch.tensor([(example["target"] - self.mean) / self.scale for example in examples])
        return Batch({**pad_batch(self.tokenizer, examples), "labels": targets}, len(examples))

    def loss(self, model: Any, batch: Batch) -> Loss:
        """Squared error of the standardised target, or Huber's loss (1964), summed over samples."""
        inputs = {name: value for name, value in batch.inputs.items() if name != "labels"}
        predictions, targets = model(**inputs).logits.squeeze(-1).float(), batch["labels"].float()
        if self.huber_delta is None:
            return Loss(F.mse_loss(predictions, targets, reduction="sum"))
        # Doubled, so that it is the squared error where errors are small.
        return Loss(2 * F.huber_loss(predictions, targets, reduction="sum", delta=self.huber_delta))

    @torch.no_grad()
    def score(
        self, model: Any, examples: Sequence[Example], predict: bool, only_equal: Container[str] = ()
    ) -> list[Scored]:
        """Squared error (standardised) and predicted number (in the user's units) of each text."""
        lengths = [example["length"] for example in examples]
        scored: dict[int, Scored] = {}
        for chosen in split_passes(lengths, rows=self.batch_size, tokens=tokens_per_pass(model.device.type)):
            inputs = dict(self.collate([examples[i] for i in chosen]).to(model.device).inputs)
            targets = inputs.pop("labels").float()
            guesses = model(**inputs, **without_cache(model)).logits.squeeze(-1).float()
            losses = ((guesses - targets) ** 2).tolist()
            for index, loss, guess in zip(chosen, losses, guesses.tolist(), strict=True):
                scored[index] = self._scored(examples[index], loss, guess)
        return [scored[index] for index in range(len(examples))]

    def _scored(self, example: Example, loss: float, guess: float) -> Scored:
        return Scored(
            id=example["id"],
            loss=loss,
            count=1,
            correct=0,
            prediction=guess * self.scale + self.mean,
            reference=example["target"],
            input=example["input"],
        )

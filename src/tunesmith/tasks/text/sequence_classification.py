"""One label for a text: an encoder with a classification head, cross-entropy."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch
import torch.nn.functional as F

from tunesmith.data.passes import split_passes, tokens_per_pass
from tunesmith.data.row import Row, Skip
from tunesmith.metrics.families.calibration import brier
from tunesmith.metrics.families.ranking import MOST_CLASSES
from tunesmith.tasks.class_loss import PLAIN, ClassLoss, class_loss
from tunesmith.tasks.targets import label_index, label_names, labels_of
from tunesmith.tasks.task import Batch, Example, Loss, Scored, Task, TaskInputs
from tunesmith.tasks.text.encoder_inputs import encode_text, pad_batch, show_tokens, without_cache

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class SequenceClassification(Task):
    """The task ``sequence-classification``; ``labels`` are the classes in the order of the logits."""

    tokenizer: PreTrainedTokenizerBase
    labels: tuple[str, ...]
    max_length: int
    overflow: str = "error"
    batch_size: int = 64
    class_loss: ClassLoss = PLAIN

    @classmethod
    def build(cls, inputs: TaskInputs) -> Self:
        """With the classes of the training rows, or those of a finished model."""
        labels = label_names(labels_of(inputs.rows)) if inputs.labels is None else inputs.labels
        recipe, learnt = inputs.recipe, class_loss(inputs, labels, labels_of(inputs.rows))
        limits = (inputs.max_length, recipe.data.overflow, recipe.eval.batch_size)
        return cls(inputs.processor, labels, *limits, learnt)

    def class_names(self) -> tuple[str, ...]:
        """Classes in the order of the logits."""
        return self.labels

    def fingerprint(self) -> Mapping[str, Any]:
        """Lengths and classes."""
        return {"max_length": self.max_length, "overflow": self.overflow, "labels": self.labels}

    def show(self, example: Example) -> list[tuple[str, bool]]:
        """Its tokens, and its class."""
        return show_tokens(self.tokenizer, example)

    def encode(self, row: Row) -> Example | Skip:
        """Tokens of the text and the label's index."""
        text = str(row.fields["text"])
        tokens = encode_text(self.tokenizer, text, row.id, self.max_length, self.overflow)
        if isinstance(tokens, int):
            return Skip(row.id, "too_long", f"{tokens} tokens of at most {self.max_length}")
        index = label_index(str(row.fields["label"]), self.labels, row.id)
        answer = {"label": index, "reference": self.labels[index], "count": 1}
        return {"id": row.id, "input": text, **answer, **tokens}

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Token ids and mask [B, T], labels [B]."""
        labels = torch.tensor([example["label"] for example in examples])
        return Batch({**pad_batch(self.tokenizer, examples), "labels": labels}, len(examples))

    def loss(self, model: Any, batch: Batch) -> Loss:
        """Cross-entropy in nats, weighed as the recipe says, summed over samples."""
        inputs = {name: value for name, value in batch.inputs.items() if name != "labels"}
        return Loss(self.class_loss.total(model(**inputs).logits.float(), batch["labels"]))

    def score(
        self, model: Any, examples: Sequence[Example], predict: bool, only_equal: Container[str] = ()
    ) -> list[Scored]:
        """Loss and most likely label of each text."""
        lengths = [example["length"] for example in examples]
        scored: list[Scored] = score_classes(self, model, examples, lengths)
        return scored


@torch.no_grad()
def score_classes(task: Any, model: Any, examples: Sequence[Example], lengths: Sequence[int]) -> list[Scored]:
    """Loss and most likely class of each example, in passes of similar and bounded length."""
    labels: Sequence[str] = task.labels
    scored: dict[int, Scored] = {}
    for chosen in split_passes(lengths, rows=task.batch_size, tokens=tokens_per_pass(model.device.type)):
        inputs = dict(task.collate([examples[i] for i in chosen]).to(model.device).inputs)
        truth = inputs.pop("labels")
        logits = model(**inputs, **without_cache(model)).logits.float()
        losses = F.cross_entropy(logits, truth, reduction="none").tolist()
        shares = logits.double().softmax(-1).tolist()
        chances = logits.double().log_softmax(-1).tolist()
        guesses = logits.argmax(-1).tolist()
        for index, loss, guess, share, chance in zip(chosen, losses, guesses, shares, chances, strict=True):
            example = examples[index]
            scored[index] = Scored(
                id=example["id"],
                loss=loss,
                count=1,
                correct=int(guess == example["label"]),
                prediction=labels[guess],
                reference=labels[example["label"]],
                input=example["input"],
                given={"confidence": share[guess], "brier": brier(share, example["label"])},
                values=dict(zip(labels, chance, strict=True)) if len(labels) <= MOST_CLASSES else {},
            )
    return [scored[index] for index in range(len(examples))]

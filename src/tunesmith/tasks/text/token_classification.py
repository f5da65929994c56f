"""A tag for each word of a text: an encoder with a classification head over tokens, cross-entropy."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch

from tunesmith.data.map.normalise import BadRow
from tunesmith.data.row import Row, Skip
from tunesmith.recipe.tasks.tags import TokenClassificationSettings
from tunesmith.tasks.class_loss import PLAIN, ClassLoss, class_loss
from tunesmith.tasks.targets import label_index, label_names
from tunesmith.tasks.task import Batch, Example, Loss, Scored, Task, TaskInputs
from tunesmith.tasks.text.encoder_inputs import NOT_LEARNT, pad_batch
from tunesmith.tasks.text.tag_predictions import Baselines, predict_tags, tag_baselines
from tunesmith.tasks.text.windows import windows_of, words_in
from tunesmith.tasks.text.word_tags import Words, row_words, spans_of_tags, tags_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class TokenClassification(Task):
    """The task ``token-classification``.

    A word's tag is read at its first token. A text of more than ``max_length`` tokens is seen in windows that
    share ``overlap`` tokens, and each word counts in the window in which it stands furthest from an edge.
    """

    tokenizer: PreTrainedTokenizerBase
    labels: tuple[str, ...]
    max_length: int
    overlap: int
    batch_size: int = 64
    class_loss: ClassLoss = PLAIN

    @classmethod
    def build(cls, inputs: TaskInputs) -> Self:
        """With the tags of the training rows, or those of a finished model."""
        tagged = [] if inputs.finished else [tag for row in inputs.rows for tag in _tags_or_none(row)]
        inside = [f"I-{tag[2:]}" for tag in set(tagged) if tag.startswith("B-")]  # of spans of a word each
        labels = label_names([*tagged, *inside], "tags") if inputs.labels is None else inputs.labels
        settings, recipe = inputs.recipe.task, inputs.recipe
        overlap = settings.overlap if isinstance(settings, TokenClassificationSettings) else 32
        limits = (inputs.max_length, min(overlap, inputs.max_length // 2), recipe.eval.batch_size)
        return cls(inputs.processor, labels, *limits, class_loss(inputs, labels, tagged))

    def baselines(self, train: Sequence[Example], held_out: Sequence[Example]) -> Baselines:
        """The commonest tag of all, and the commonest of each word."""
        return tag_baselines(train, held_out)

    def class_names(self) -> tuple[str, ...]:
        """Tags in the order of the logits."""
        return self.labels

    def fingerprint(self) -> Mapping[str, Any]:
        """Lengths and tags."""
        return {"max_length": self.max_length, "overlap": self.overlap, "labels": self.labels}

    def show(self, example: Example) -> list[tuple[str, bool]]:
        """Words, each with its tag."""
        tags = str(example["reference"]).split()
        pairs = zip(example["words"], tags, strict=True)
        return [piece for word, tag in pairs for piece in ((f"{word}", False), (f"/{tag} ", True))]

    def encode(self, row: Row) -> Example | Skip:
        """Tokens of each window, the words that count in it, and their tags."""
        words = row_words(row)
        try:
            tags = tags_of(row, words)
        except BadRow as bad:
            return Skip(row.id, bad.reason, bad.detail)
        example = self._example(row.id, words)
        if not example["count"]:
            return Skip(row.id, "no_loss", "no token begins any of its words")
        indices = [label_index(tag, self.labels, row.id) for tag in tags]
        return {**example, "tags": indices, "reference": " ".join(tags), "input": words.text}

    def _example(self, row_id: str, words: Words) -> Example:
        windows = windows_of(self.tokenizer, words, self.max_length, self.overlap)
        return {
            "id": row_id,
            "words": [words.text[start:end] for start, end in words.places],
            "windows": [one.ids for one in windows],
            "firsts": [sorted(one.firsts.items()) for one in windows],
            "length": sum(len(one.ids) for one in windows),
            "count": sum(len(one.firsts) for one in windows),
        }

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Token ids and mask [W, T] of all windows, and the tag of each token, [W, T], -100 where none is."""
        windows = [{"input_ids": ids} for example in examples for ids in example["windows"]]
        batch = pad_batch(self.tokenizer, windows)
        labels = torch.full_like(batch["input_ids"], NOT_LEARNT)
        for place, window, word, token in words_in(examples):
            labels[window, token] = examples[place]["tags"][word] if "tags" in examples[place] else 0
        return Batch({**batch, "labels": labels}, sum(example["count"] for example in examples))

    def loss(self, model: Any, batch: Batch) -> Loss:
        """Cross-entropy in nats, weighed as the recipe says, summed over words."""
        inputs = {name: value for name, value in batch.inputs.items() if name != "labels"}
        learnt = batch["labels"] != NOT_LEARNT
        return Loss(self.class_loss.total(model(**inputs).logits[learnt].float(), batch["labels"][learnt]))

    def score(
        self, model: Any, examples: Sequence[Example], predict: bool, only_equal: Container[str] = ()
    ) -> list[Scored]:
        """Loss and most likely tags of each text."""
        return [
            Scored(
                id=example["id"],
                loss=told.loss,
                count=example["count"],
                correct=sum(told.tags.get(word) == tag for word, tag in enumerate(example["tags"])),
                prediction=" ".join(told.in_words(self.labels, len(example["words"]))),
                reference=example["reference"],
                input=example["input"],
            )
            for example, told in zip(examples, predict_tags(self, model, examples), strict=True)
        ]

    def answer(self, model: Any, rows: Sequence[Row]) -> list[Any]:
        """Tags of given words; of a text, the places that they mark."""
        words = [row_words(row) for row in rows]
        examples = [self._example(row.id, each) for row, each in zip(rows, words, strict=True)]
        told = [
            each.in_words(self.labels, len(example["words"]))
            for each, example in zip(predict_tags(self, model, examples), examples, strict=True)
        ]
        return [
            said if "tokens" in row.fields else spans_of_tags(each, said)
            for row, each, said in zip(rows, words, told, strict=True)
        ]


def _tags_or_none(row: Row) -> list[str]:
    try:
        return tags_of(row, row_words(row))
    except BadRow:
        return []  # it is left out where it is encoded

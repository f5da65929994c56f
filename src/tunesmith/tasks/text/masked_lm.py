"""Words hidden in a text, to be found again: how encoders are pretrained, and that is gone on with."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
import torch.nn.functional as F

from tunesmith.data.passes import split_passes, tokens_per_pass
from tunesmith.data.row import Row, Skip
from tunesmith.errors import UserError
from tunesmith.recipe.tasks.text import MaskedLMSettings
from tunesmith.tasks.task import Batch, Example, Loss, RowRandom, Scored, Task, TaskInputs
from tunesmith.tasks.text.encoder_inputs import NOT_LEARNT, mask_tokens, pad_batch, without_cache
from tunesmith.tasks.text.windows import room_in_window

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class MaskedLM(Task):
    """The task ``masked-lm`` (Devlin et al. 2019, arXiv 1810.04805, section 3.1).

    Texts are cut into blocks of at most ``max_length`` tokens. What is hidden is drawn anew in every step; in
    an evaluation it is the same each time, drawn from the row's id.
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    share: float = 0.15
    whole_words: bool = True
    batch_size: int = 64

    @classmethod
    def build(cls, inputs: TaskInputs) -> Self:
        """With the recipe's share of hidden tokens."""
        if inputs.processor.mask_token_id is None:
            raise UserError(
                "the tokenizer has no token that hides another (`mask_token`)",
                "model.tokenizer",
                "choose an encoder that was pretrained so, such as BERT; decoders learn text by `causal-lm`",
            )
        room_in_window(inputs.processor, inputs.max_length)
        settings, recipe = inputs.recipe.task, inputs.recipe
        known = settings if isinstance(settings, MaskedLMSettings) else MaskedLMSettings()
        hiding = (known.mask_share, known.whole_words)
        return cls(inputs.processor, inputs.max_length, *hiding, recipe.eval.batch_size)

    def fingerprint(self) -> Mapping[str, Any]:
        """Length and what is hidden."""
        return {"max_length": self.max_length, "share": self.share, "whole_words": self.whole_words}

    def show(self, example: Example) -> list[tuple[str, bool]]:
        """The text as an evaluation hides it, and what is to be found."""
        return [
            (str(self.tokenizer.decode([told if told != NOT_LEARNT else token])), told != NOT_LEARNT)
            for tokens, hidden in zip(example["hidden"], example["labels"], strict=True)
            for token, told in zip(tokens, hidden, strict=True)
        ]

    def encode(self, row: Row) -> Example | Skip:
        """Blocks of tokens, the word to which each belongs, and what an evaluation hides of them."""
        text = str(row.fields["text"])
        found = self.tokenizer(
            text, truncation=True, max_length=self.max_length, return_overflowing_tokens=True
        )
        words = [
            [NOT_LEARNT if one is None else one for one in found.word_ids(number)]
            for number in range(len(found["input_ids"]))
        ]
        blocks = {"blocks": [list(ids) for ids in found["input_ids"]], "words": words}
        hidden = self._hide(blocks, np.random.default_rng([*row.id.encode()]))
        count = sum(label != NOT_LEARNT for labels in hidden["labels"] for label in labels)
        if not count:
            return Skip(row.id, "no_loss", "it has no token that could be hidden")
        length = sum(map(len, blocks["blocks"]))
        told = {"id": row.id, "input": text, "reference": "", "length": length, "count": count}
        return {**told, **blocks, **hidden}

    def _hide(self, example: Mapping[str, Any], draw: np.random.Generator) -> Example:
        """The blocks with a share of their tokens hidden, at least one of each, and what those were."""
        whole, tokenizer = self.whole_words, self.tokenizer
        made = [
            mask_tokens(ids, words, draw, share=self.share, whole_words=whole, tokenizer=tokenizer)
            for ids, words in zip(example["blocks"], example["words"], strict=True)
        ]
        return {"hidden": [ids for ids, _ in made], "labels": [labels for _, labels in made]}

    def roll_out(self, model: Any, examples: Sequence[Example], rng: RowRandom) -> Sequence[Example]:
        """The examples with other tokens hidden in each step."""
        return [{**one, **self._hide(one, rng(one["id"]))} for one in examples]

    @torch.no_grad()
    def answer(self, model: Any, rows: Sequence[Row]) -> list[Any]:
        """The texts with the likeliest token in place of each mask."""
        mask, answers = self.tokenizer.mask_token_id, []
        for row in rows:
            text = str(row.fields["text"])
            ids = self.tokenizer(text, truncation=True, max_length=self.max_length, return_tensors="pt")
            guesses = model(**ids.to(model.device)).logits[0].argmax(-1)
            filled = torch.where(ids["input_ids"][0] == mask, guesses, ids["input_ids"][0])
            answers.append(self.tokenizer.decode(filled, skip_special_tokens=True))
        return answers

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Token ids and mask [W, T] of all blocks, and what was hidden, [W, T], -100 elsewhere."""
        batch = pad_batch(self.tokenizer, [{"input_ids": ids} for one in examples for ids in one["hidden"]])
        labels = torch.full_like(batch["input_ids"], NOT_LEARNT)
        for block, told in enumerate(told for one in examples for told in one["labels"]):
            labels[block, : len(told)] = torch.tensor(told)
        return Batch({**batch, "labels": labels}, int((labels != NOT_LEARNT).sum()))

    def loss(self, model: Any, batch: Batch) -> Loss:
        """Cross-entropy of the hidden tokens in nats, summed over them."""
        logits, labels = self._told(model, batch)
        return Loss(F.cross_entropy(logits, labels, reduction="sum"))

    def _told(self, model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = {name: value for name, value in batch.inputs.items() if name != "labels"}
        asked = batch["labels"] != NOT_LEARNT
        return model(**inputs, **without_cache(model)).logits[asked].float(), batch["labels"][asked]

    @torch.no_grad()
    def score(
        self, model: Any, examples: Sequence[Example], predict: bool, only_equal: Container[str] = ()
    ) -> list[Scored]:
        """Loss of the hidden tokens of each text, and how many were found."""
        lengths = [example["length"] for example in examples]
        found: dict[int, Scored] = {}
        for chosen in split_passes(lengths, rows=self.batch_size, tokens=tokens_per_pass(model.device.type)):
            some = [examples[index] for index in chosen]
            logits, labels = self._told(model, self.collate(some).to(model.device))
            losses = iter(F.cross_entropy(logits, labels, reduction="none").tolist())
            right = iter((logits.argmax(-1) == labels).tolist())
            for index, example in zip(chosen, some, strict=True):
                found[index] = self._scored(example, losses, right)
        return [found[index] for index in range(len(examples))]

    def _scored(self, example: Example, losses: Iterator[float], right: Iterator[bool]) -> Scored:
        count = example["count"]
        loss, hits = sum(next(losses) for _ in range(count)), sum(next(right) for _ in range(count))
        return Scored(example["id"], loss, count, hits, None, "", example["input"])

"""A vector for a text: pairs, triplets or scored pairs, compared over the whole batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import torch

from tunesmith.data.row import Row, Skip
from tunesmith.recipe.tasks.vectors import EmbeddingSettings
from tunesmith.tasks.task import Batch, Embedded, Example, Loss, TaskInputs
from tunesmith.tasks.text.contrastive import cosent_loss, ranking_loss, text_vectors
from tunesmith.tasks.text.encoder_inputs import encode_text, pad_batch, show_parts
from tunesmith.tasks.text.module_files import module_files, refuse_larger_sizes
from tunesmith.tasks.text.retrieval import SearchTask, refuse_other_evaluation, text_key

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SIDES = ("anchor", "positive", "negative")


@dataclass(frozen=True, slots=True)
class Embedding(SearchTask):
    """The task ``embedding``; ``scored`` and ``negatives`` say what the training rows have."""

    tokenizer: PreTrainedTokenizerBase
    settings: EmbeddingSettings
    max_length: int
    overflow: str = "error"
    batch_size: int = 64
    scored: bool = False
    negatives: bool = False

    @classmethod
    def build(cls, inputs: TaskInputs) -> Self:
        """For rows of one kind; those of a finished model may be of any."""
        recipe, fields = inputs.recipe, [row.fields for row in inputs.rows]
        settings = recipe.task
        assert isinstance(settings, EmbeddingSettings)
        scored, negatives = (any(name in each for each in fields) for name in ("score", "negative"))
        if fields:
            refuse_other_evaluation(recipe, scored=scored)
        made = cls(
            inputs.processor, settings, inputs.max_length, recipe.data.overflow, recipe.eval.batch_size
        )
        return replace(made, scored=scored, negatives=negatives and not scored)

    def fit(self, model: Any, *, fresh_head: bool) -> Self:
        """For vectors of this model, which no size may exceed."""
        refuse_larger_sizes(self.settings.sizes, model)
        return self

    def fingerprint(self) -> Mapping[str, Any]:
        """Lengths, and what rows must have."""
        return {"max_length": self.max_length, "overflow": self.overflow, "scored": self.scored}

    def show(self, example: Example) -> list[tuple[str, bool]]:
        """The tokens of anchor, positive and negative, and the score."""
        sides = [(example[f"{side}_ids"], side != "anchor") for side in SIDES]
        shown = show_parts(self.tokenizer, sides)
        return [*shown, (f" -> {example['reference']}", True)] if "score" in example else shown

    def encode(self, row: Row) -> Example | Skip:
        """Tokens of each text, keys by which equal texts are told, and the score."""
        if self.scored and "score" not in row.fields:
            return Skip(row.id, "malformed", "no `score`, and other rows have one")
        ids: dict[str, list[int]] = {}
        truncated = False
        for side in SIDES:
            prompt = self.settings.anchor_prompt if side == "anchor" else self.settings.positive_prompt
            ids[f"{side}_ids"] = []
            if side in row.fields:
                text = prompt + str(row.fields[side])
                tokens = encode_text(self.tokenizer, text, row.id, self.max_length, self.overflow)
                if isinstance(tokens, int):
                    return Skip(row.id, "too_long", f"{tokens} tokens of at most {self.max_length}")
                ids[f"{side}_ids"], truncated = tokens["input_ids"], truncated or tokens["truncated"]
        known = {"id": row.id, "input": str(row.fields["anchor"]), "truncated": truncated, "count": 1}
        texts = {f"{side}_key": text_key(str(row.fields.get(side, ""))) for side in SIDES[1:]}
        answer: dict[str, Any] = {"reference": str(row.fields.get("positive", ""))}
        if "score" in row.fields:
            answer = {"reference": float(row.fields["score"]), "score": float(row.fields["score"])}
        return {**known, **ids, **texts, **answer, "length": sum(map(len, ids.values()))}

    def collate(self, examples: Sequence[Example]) -> Batch:
        """All texts in one padded [n, T], anchors, positives, then what negatives there are; keys, scores."""
        there = [index for index, one in enumerate(examples) if one["negative_ids"]] if self.negatives else []
        rows = [{"input_ids": one[f"{side}_ids"]} for side in SIDES[:2] for one in examples]
        rows += [{"input_ids": examples[index]["negative_ids"]} for index in there]
        more = {f"{side}_key": torch.tensor([one[f"{side}_key"] for one in examples]) for side in SIDES[1:]}
        score = torch.tensor([one.get("score", 0.0) for one in examples])
        inputs = {**pad_batch(self.tokenizer, rows), **more, "score": score}
        return Batch({**inputs, "there": torch.tensor(there, dtype=torch.long)}, len(examples))

    def embed(self, model: Any, batch: Batch) -> Embedded:
        """Vectors [B, H] of each side, and what the loss takes beside them."""
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
        vectors = text_vectors(model, inputs, self.settings.pooling)
        count = len(batch["score"])
        embedded = {
            "anchor": vectors[:count],
            "positive": vectors[count : 2 * count],
            "score": batch["score"],
        }
        if self.negatives:
            there = batch["there"]
            embedded["negative"] = torch.zeros_like(vectors[:count]).index_copy(
                0, there, vectors[2 * count :]
            )
            embedded["has_negative"] = torch.zeros_like(batch["negative_key"]).index_fill(0, there, 1)
            embedded["negative_key"] = batch["negative_key"]
        return {**embedded, "positive_key": batch["positive_key"]}

    def coupled_loss(self, embedded: Embedded) -> Loss:
        """The loss at full size and at each of ``sizes``, summed (Kusupati et al. 2022, arXiv 2205.13147)."""
        sizes = dict.fromkeys((embedded["anchor"].shape[-1], *self.settings.sizes))
        parts = {f"size_{size}": self._loss_at(embedded, size) for size in sizes}
        return Loss(torch.stack(list(parts.values())).sum(), parts if len(parts) > 1 else {})

    def _loss_at(self, embedded: Embedded, size: int) -> torch.Tensor:
        anchors, positives = (embedded[side][:, :size] for side in SIDES[:2])
        scale = self.settings.scale
        if self.scored:
            return cosent_loss(anchors, positives, embedded["score"], scale=scale)
        candidates, keys = positives, embedded["positive_key"]
        if self.negatives:
            there = embedded["has_negative"] == 1
            candidates = torch.cat([candidates, embedded["negative"][there][:, :size]])
            keys = torch.cat([keys, embedded["negative_key"][there]])
        return ranking_loss(anchors, candidates, keys, scale=scale)

    def further_files(self, model: Any) -> Mapping[str, str]:
        """What sentence-transformers opens the model's folder by."""
        return module_files(self.settings, model, self.max_length)

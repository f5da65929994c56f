"""A task with fields of its own names: which of two answers is better, by one number for each."""

from typing import ClassVar

import torch
import torch.nn.functional as F

from tunesmith.recipe.tasks.spec import Field, TaskSettings, TaskSpec
from tunesmith.tasks.task import Batch, Loss, Scored, Task


class Pairs(Task):
    """The better answer has the larger number (Bradley and Terry, 1952)."""

    spec: ClassVar = TaskSpec(
        settings=TaskSettings,
        summary="the better one of two answers",
        auto_model="AutoModelForSequenceClassification",
        inputs=(Field("prompt", "text"),),
        targets=(Field("chosen", "text"), Field("rejected", "text")),
        output="number",
        metrics=("loss", "mse"),
        encoder=True,
    )

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    @classmethod
    def build(cls, inputs):
        return cls(inputs.processor)

    def encode(self, row):
        ids = [self._ids(row.fields["prompt"], row.fields[name]) for name in ("chosen", "rejected")]
        return {
            "id": row.id,
            "ids": ids,
            "length": sum(map(len, ids)),
            "count": 1,
            "input": row.fields["prompt"],
            "reference": 1.0,
        }

    def _ids(self, prompt, answer):
        return self.tokenizer(prompt, answer)["input_ids"]

    def collate(self, examples):
        flat = [ids for one in examples for ids in one["ids"]]
        return Batch(self.tokenizer.pad({"input_ids": flat}, return_tensors="pt"), len(examples))

    def _margins(self, model, batch):
        numbers = model(**batch.inputs).logits.squeeze(-1).float()
        return numbers[0::2] - numbers[1::2]

    def loss(self, model, batch):
        return Loss(-F.logsigmoid(self._margins(model, batch)).sum())

    @torch.no_grad()
    def score(self, model, examples, predict, only_equal=()):
        margins = self._margins(model, self.collate(examples).to(model.device))
        pairs = zip(examples, (-F.logsigmoid(margins)).tolist(), margins.sigmoid().tolist(), strict=True)
        return [
            Scored(one["id"], loss, 1, int(chance > 0.5), chance, 1.0, one["input"])
            for one, loss, chance in pairs
        ]

    @torch.no_grad()
    def answer(self, model, rows):
        texts = [row.fields["prompt"] for row in rows]
        return model(**self.tokenizer(texts, padding=True, return_tensors="pt")).logits.squeeze(-1).tolist()

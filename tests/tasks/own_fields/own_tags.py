"""A task with structured targets: the topics of a text, and where its names stand."""

from typing import ClassVar

import torch
import torch.nn.functional as F

from tunesmith.recipe.tasks.spec import Field, TaskSettings, TaskSpec
from tunesmith.tasks.task import Batch, Loss, Scored, Task


class Tags(Task):
    """Topics from the whole text; the places of names only decide how many there are."""

    spec: ClassVar = TaskSpec(
        settings=TaskSettings,
        summary="topics of a text, and its names",
        auto_model="AutoModelForSequenceClassification",
        inputs=(Field("body", "text"), Field("title", "text", optional=True)),
        targets=(Field("topics", "labels"), Field("names", "spans")),
        output="classes",
        metrics=("loss", "accuracy"),
        encoder=True,
    )

    def __init__(self, tokenizer, topics):
        self.tokenizer, self.topics = tokenizer, topics

    @classmethod
    def build(cls, inputs):
        found = sorted({topic for row in inputs.rows for topic in row.fields["topics"]})
        return cls(inputs.processor, tuple(inputs.labels or found))

    def class_names(self):
        return self.topics

    def encode(self, row):
        ids = self.tokenizer(row.fields["body"])["input_ids"]
        there = [float(topic in row.fields["topics"]) for topic in self.topics]
        assert all(row.fields["body"][one["start"] : one["end"]] == "Ann" for one in row.fields["names"])
        return {"id": row.id, "input_ids": ids, "length": len(ids), "count": 1, "there": there}

    def collate(self, examples):
        ids = [one["input_ids"] for one in examples]
        padded = self.tokenizer.pad({"input_ids": ids}, return_tensors="pt")
        return Batch({**padded, "there": torch.tensor([one["there"] for one in examples])}, len(examples))

    def _losses(self, model, batch):
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.float()
        losses = F.binary_cross_entropy_with_logits(logits, batch["there"], reduction="none").sum(-1)
        return losses, [self._topics(one) for one in logits]

    def _topics(self, logits):
        return [topic for topic, one in zip(self.topics, logits.tolist(), strict=True) if one > 0]

    def loss(self, model, batch):
        return Loss(self._losses(model, batch)[0].sum())

    @torch.no_grad()
    def score(self, model, examples, predict, only_equal=()):
        losses, topics = self._losses(model, self.collate(examples).to(model.device))
        return [
            Scored(one["id"], loss, 1, 0, "; ".join(said), one["reference"].splitlines()[0], one["input"])
            for one, loss, said in zip(examples, losses.tolist(), topics, strict=True)
        ]

    @torch.no_grad()
    def answer(self, model, rows):
        texts = [row.fields["body"] for row in rows]
        logits = model(**self.tokenizer(texts, padding=True, return_tensors="pt")).logits
        return [self._topics(one) for one in logits]

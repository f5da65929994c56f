"""Tasks with what not every task has, as a user would write them beside a recipe."""

from dataclasses import replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F

from tunesmith.recipe.tasks.spec import Field, TaskSettings, TaskSpec
from tunesmith.tasks.task import Batch, Loss, Scored, Task


class HookedSettings(TaskSettings):
    """What a recipe can set."""

    near: float = 0.1


class Numbers(Task):
    """A number for a text; what is common to the tasks below."""

    spec: ClassVar = TaskSpec(
        settings=HookedSettings,
        summary="a number for a text",
        auto_model="AutoModelForSequenceClassification",
        inputs=(Field("text", "text"),),
        targets=(Field("target", "number", "count"),),
        output="number",
        metrics=("loss", "mse"),
        measured=("mse",),
        encoder=True,
    )

    def __init__(self, tokenizer: Any, near: float) -> None:
        self.tokenizer, self.near = tokenizer, near

    @classmethod
    def build(cls, inputs: Any) -> Any:
        return cls(inputs.processor, inputs.recipe.task.near)

    def encode(self, row: Any) -> Any:
        ids = self.tokenizer(str(row.fields["text"]))["input_ids"]
        known = {"id": row.id, "input": row.fields["text"], "input_ids": ids}
        return {**known, "length": len(ids), "count": 1, "reference": float(row.fields["target"])}

    def collate(self, examples: Any) -> Batch:
        padded = self.tokenizer.pad(
            {"input_ids": [one["input_ids"] for one in examples]}, return_tensors="pt"
        )
        numbers = {
            name: torch.tensor([one.get(name, 0.0) for one in examples])
            for name in ("reference", "first", "noise")
        }
        return Batch({**padded, **numbers}, len(examples))

    def guesses(self, model: Any, batch: Batch) -> Any:
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
        return model(**inputs).logits.squeeze(-1).float()

    def score(self, model: Any, examples: Any, predict: bool, only_equal: Any = ()) -> list[Scored]:
        with torch.no_grad():
            guesses = self.guesses(model, self.collate(examples).to(model.device)).tolist()
        return [
            Scored(one["id"], (guess - one["reference"]) ** 2, 1, 0, guess, one["reference"], one["input"])
            for one, guess in zip(examples, guesses, strict=True)
        ]


class Hooked(Numbers):
    """Stays near what the first weights say, and learns from what it draws near its own answers."""

    def loss(self, model: Any, batch: Batch) -> Loss:
        guesses = self.guesses(model, batch)
        fit = F.mse_loss(guesses, batch["reference"] + batch["noise"], reduction="sum")
        near = self.near * F.mse_loss(guesses, batch["first"], reduction="sum")
        return Loss(fit + near, {"fit": fit, "near": near})

    def enrich(self, model: Any, examples: Any) -> Any:
        assert not model.training
        guesses = self.guesses(model, self.collate(examples).to(model.device)).tolist()
        return [{**one, "first": guess} for one, guess in zip(examples, guesses, strict=True)]

    def roll_out(self, model: Any, examples: Any, rng: Any) -> Any:
        assert not model.training
        guesses = self.guesses(model, self.collate(examples).to(model.device)).tolist()
        draws = [rng(one["id"]).normal() for one in examples]
        return [
            {**one, "noise": 0.1 * float(draw) * abs(guess)}
            for one, draw, guess in zip(examples, draws, guesses, strict=True)
        ]


class Ranked(Numbers):
    """Ranks the texts of a batch: its loss is over all pairs of them."""

    spec: ClassVar = replace(Numbers.spec, summary="texts in order", measured=(), couples=True)

    def embed(self, model: Any, batch: Batch) -> Any:
        return {"guess": self.guesses(model, batch), "target": batch["reference"]}

    def coupled_loss(self, embedded: Any) -> Loss:
        guess, target = embedded["guess"], embedded["target"]
        ahead = (target[:, None] > target[None, :]).float()
        return Loss((ahead * F.softplus(guess[None, :] - guess[:, None])).mean(1).sum())

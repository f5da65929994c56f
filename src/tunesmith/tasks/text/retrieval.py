"""A search among the texts of an evaluation: how near each pair is, and what is nearer."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from tunesmith.data.passes import split_passes, tokens_per_pass
from tunesmith.data.row import Row, Skip
from tunesmith.errors import UserError
from tunesmith.metrics.table import declared
from tunesmith.recipe.check.metric_names import asked_metrics
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.vectors import RANKS, EmbeddingSettings
from tunesmith.suggest import any_of
from tunesmith.tasks.task import Example, Scored, Task
from tunesmith.tasks.text.contrastive import text_vectors
from tunesmith.tasks.text.encoder_inputs import pad_batch

AT_ONCE = 1024
"""Anchors that are compared with all candidates at once."""


class SearchTask(Task):
    """What gives vectors of texts, and is measured by a search among them."""

    __slots__ = ()
    settings: EmbeddingSettings

    def score(
        self, model: Any, examples: Sequence[Example], predict: bool, only_equal: Container[str] = ()
    ) -> list[Scored]:
        """How near the two texts of each row are; which are nearest is known when all rows are."""
        return score_pairs(self, model, examples)

    def relate(self, scored: Sequence[Scored]) -> list[Scored]:
        """The scores with what a search among all rows finds, or whether they are in the order of scores."""
        compare = in_order if isinstance(scored[0].reference, float) else ranked
        return compare(scored, self.settings.scale)

    def lone_loss(self, scored: Scored) -> float:
        """Distance of anchor and positive."""
        return 1 - scored.given["cosine"]

    def answer(self, model: Any, rows: Sequence[Row]) -> list[Any]:
        """The vector of each anchor."""
        return anchor_vectors(self, model, rows)


def refuse_other_evaluation(recipe: Recipe, *, scored: bool) -> None:
    """Make sure that what is asked for can be measured on rows with scores, or without.

    Raises:
        UserError: a metric is of the other kind of rows, or a search would be among a part of them.
    """
    for name in asked_metrics(recipe):
        found = declared(name)
        numbers = found is not None and found.needs == "number"
        if numbers != scored and (numbers or name in RANKS):
            have = "have a `score`" if scored else "have no `score`"
            other = RANKS if numbers else ("pearson", "spearman")
            hint = f"choose among {any_of(other)}"
            raise UserError(f"`{name}` cannot be measured, since rows {have}", "eval.metrics", hint)
    if recipe.eval.subset == "auto":
        raise UserError(
            "`eval.subset: auto` scores a part of the rows, and they are compared with each other",
            "eval.subset",
            "leave it out; `eval.limit` takes as many rows at every evaluation",
        )


def text_key(text: str) -> int:
    """A number by which equal texts are told: 63 bits of BLAKE2."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def score_pairs(task: Any, model: Any, examples: Sequence[Example]) -> list[Scored]:
    """The cosine of anchor and positive of each example, ``1 - cosine`` as its loss for now, both vectors."""
    scored: dict[int, Scored] = {}
    lengths = [example["length"] for example in examples]
    for chosen in split_passes(lengths, rows=task.batch_size, tokens=tokens_per_pass(model.device.type)):
        some = [examples[index] for index in chosen]
        with torch.no_grad():
            embedded = task.embed(model, task.collate(some).to(model.device))
        sides = [F.normalize(embedded[side], dim=-1).cpu().numpy() for side in ("anchor", "positive")]
        for index, example, anchor, positive in zip(chosen, some, *sides, strict=True):
            cosine = float(anchor.astype(np.float64) @ positive.astype(np.float64))
            scored[index] = Scored(
                id=example["id"],
                loss=1 - cosine,
                count=1,
                correct=0,
                prediction=cosine if "score" in example else None,
                reference=example["reference"],
                input=example["input"],
                given={"cosine": cosine},
                unwritten=(anchor, positive, example["positive_key"]),
            )
    return [scored[index] for index in range(len(examples))]


def anchor_vectors(task: Any, model: Any, rows: Sequence[Row]) -> list[list[float] | None]:
    """The vector of each row's anchor, of length 1; ``None`` of a text that is too long and is dropped."""
    encoded = [task.encode(Row(row.id, {"anchor": row.fields["anchor"]}, row.schema)) for row in rows]
    kept = [index for index, one in enumerate(encoded) if not isinstance(one, Skip)]
    found: dict[int, list[float]] = {}
    if kept:
        ids = [{"input_ids": encoded[index]["anchor_ids"]} for index in kept]
        inputs = {name: value.to(model.device) for name, value in pad_batch(task.tokenizer, ids).items()}
        with torch.no_grad():
            vectors = text_vectors(model, inputs, task.settings.pooling)
        found = {
            index: [float(f"{x:.7g}") for x in one]
            for index, one in zip(kept, F.normalize(vectors, dim=-1).tolist(), strict=True)
        }
    return [found.get(index) for index in range(len(rows))]


def ranked(scored: Sequence[Scored], scale: float) -> list[Scored]:
    """The scores with the ``rank`` of each anchor's positive among all, from 1, and the text that is nearest.

    Positives of equal text are one candidate, and a tie counts against the anchor's own. The loss is that of
    ``ranking_loss`` with all of them as candidates.

    Args:
        scored: all rows of an evaluation.
        scale: of the cosines in the loss.
    """
    anchors = np.stack([one.unwritten[0] for one in scored])
    keys = [one.unwritten[2] for one in scored]
    _, places, own = np.unique(keys, return_index=True, return_inverse=True)
    candidates = np.stack([scored[place].unwritten[1] for place in places])
    found: list[Scored] = []
    for start in range(0, len(scored), AT_ONCE):
        cosines = anchors[start : start + AT_ONCE] @ candidates.T
        mine = cosines[np.arange(len(cosines)), own[start : start + AT_ONCE]]
        ranks = (cosines >= mine[:, None]).sum(axis=1)
        logits = scale * (cosines.astype(np.float64) - mine[:, None])
        losses = np.logaddexp.reduce(logits, axis=1)
        nearest = cosines.argmax(axis=1)
        for one, rank, loss, place in zip(scored[start:], ranks, losses, nearest, strict=False):
            found.append(
                replace(
                    one,
                    loss=float(loss),
                    correct=int(rank == 1),
                    prediction=scored[places[place]].reference,
                    given={**one.given, "rank": float(rank)},
                    unwritten=None,
                )
            )
    return found


def in_order(scored: Sequence[Scored], scale: float) -> list[Scored]:
    """The scores with a loss that tells whether cosines are in the order of the rows' scores.

    Of a row, the mean of ``log(1 + exp(-s (cos_i - cos_j) sign(y_i - y_j)))`` over rows j of other scores.

    Args:
        scored: all rows of an evaluation.
        scale: s.
    """
    cosines = np.array([one.prediction for one in scored])
    scores = np.array([one.reference for one in scored])
    found: list[Scored] = []
    for one, cosine, score in zip(scored, cosines, scores, strict=True):
        sign = np.sign(score - scores)
        losses = np.logaddexp(0.0, -scale * (cosine - cosines) * sign)[sign != 0]
        found.append(replace(one, loss=float(losses.mean()) if len(losses) else 0.0, unwritten=None))
    return found

"""Tasks that give vectors, which are compared with each other."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Constraint

from tunesmith.recipe.section import Number, Whole
from tunesmith.recipe.tasks.spec import Field, TaskSettings, TaskSpec

RANKS = ("recall_at_1", "recall_at_10", "mrr_at_10")
"""Metrics of a search for each anchor's positive among those of all rows."""


class EmbeddingSettings(TaskSettings):
    """A vector for a text, near those of the texts that belong to it."""

    name: Literal["embedding"] = "embedding"
    pooling: Literal["mean", "cls", "last"] = Constraint(
        default="mean", description="Which of the last layer's vectors: their mean, the first or the last."
    )
    scale: Number = Constraint(
        default=20.0, gt=0, description="By which cosines are multiplied in the loss: 1 over its temperature."
    )
    sizes: tuple[Annotated[Whole, Constraint(gt=0)], ...] = Constraint(
        default=(), description="Learn also beginnings of the vector of these sizes (Matryoshka)."
    )
    anchor_prompt: str = Constraint(default="", description='Put before each anchor, such as "query: ".')
    positive_prompt: str = Constraint(
        default="", description='Put before each positive and negative, such as "passage: ".'
    )


EMBEDDING = TaskSpec(
    settings=EmbeddingSettings,
    summary="vectors of texts, near where texts belong together",
    code="tunesmith.tasks.text.embedding:Embedding",
    auto_model="AutoModel",
    inputs=(Field("anchor", "text"),),
    targets=(
        Field("positive", "text", "text that belongs to it"),
        Field("negative", "text", "text that does not", optional=True),
        Field("score", "number", "score of how far they belong together", optional=True),
    ),
    output="vector",
    metrics=("loss", *RANKS, "pearson", "spearman"),
    starter="embedding_minilm_japanese",
    pipeline="sentence-similarity",
    encoder=True,
    peft="FEATURE_EXTRACTION",
    aliases=("sentence-similarity", "sentence-transformers", "embeddings", "retrieval"),
    couples=True,
)

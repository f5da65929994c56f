"""The section `data`: where rows come from, how they are mapped, cleaned and split."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from tunesmith.recipe.section import Flag, Number, Section, Whole

FLAT = (
    "system",
    "tools",
    "documents",
    "chat_template_kwargs",
    "messages",
    "conversations",
    "prompt",
    "completion",
    "instruction",
    "input",
    "output",
    "text",
    "label",
    "target",
    "image",
)
"""Fields that a source may also map by keys of its own: ``text: review`` for ``fields: {text: review}``."""


Format = Literal["auto", "jsonl", "json", "csv", "tsv", "parquet", "text", "conll", "hf", "python"]


class Rows(Section):
    """One source of rows, and how its columns become the fields of the task.

    A field is a column's name (``question``) or a template with braces (``"Q: {question}"``).
    ``system`` is always a template, so that plain text stands for itself.
    """

    source: str
    revision: str | None = None
    sha256: str | None = None
    name: str | None = Field(default=None, description="Configuration of a Hugging Face data set.")
    split: str | None = None
    format: Format = "auto"
    encoding: str = "utf-8"
    columns: tuple[str, ...] | None = Field(
        default=None, description="Names for a CSV or TSV without a header, or of CoNLL columns."
    )
    pattern: str | None = Field(
        default=None, description="Regex with named groups, for lines of a text file."
    )
    arguments: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments for `python:`.")
    weight: Number | None = Field(
        default=None, gt=0, description="Share in a mixture; default: all rows once."
    )
    limit: Whole | None = Field(
        default=None, gt=0, description="Use at most this many rows: a sample of all, drawn with the seed."
    )
    first: Whole | None = Field(default=None, gt=0, description="Read this many rows, the first ones.")
    values: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="Per column: how its values are rewritten."
    )
    fields: dict[str, str] = Field(
        default_factory=dict,
        description="Field of the task to column or template; those below are short forms.",
    )
    # the short forms
    system: str | None = None
    tools: str | None = Field(default=None, description="Column of functions, for the chat template.")
    documents: str | None = Field(default=None, description="Column of documents, for the chat template.")
    chat_template_kwargs: str | None = Field(
        default=None, description="Column of further names and values for the chat template."
    )
    messages: str | None = None
    prompt: str | None = None
    completion: str | None = None
    instruction: str | None = None
    input: str | None = None
    output: str | None = None
    conversations: str | None = None
    text: str | None = None
    label: str | None = None
    target: str | None = None
    image: str | None = None

    @property
    def mapped(self) -> dict[str, str]:
        """Field to column or template, whichever way it is written."""
        flat = {name: spec for name in FLAT if (spec := getattr(self, name)) is not None}
        return flat | self.fields


class Holdout(Section):
    """Hold out this many rows (1 or more) or this share of them (below 1) for evaluation."""

    holdout: Number = Field(gt=0)
    stratify: str | None = Field(default=None, description="Column whose shares are kept in both parts.")


class Clean(Section):
    """What happens to rows that should not be there. Everything found is counted and reported."""

    empty: Literal["drop", "error"] = "drop"
    malformed: Literal["error", "drop"] = "error"
    duplicates: Literal["drop", "keep", "error"] = "drop"
    near_duplicates: Literal["keep", "drop", "error"] = "keep"
    near_threshold: Number = Field(
        default=0.85, gt=0, le=1, description="Jaccard similarity of word 3-grams."
    )
    leakage: Literal["drop", "keep", "error"] = "drop"
    alike_labels: Literal["error", "keep"] = Field(
        default="error", description="Labels that differ in case, blanks or Unicode form alone."
    )


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict) else value


def _as_texts(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Data(Section):
    """Rows to learn from, rows to evaluate on, and how they are cleaned and encoded."""

    train: Annotated[
        tuple[Rows, ...], BeforeValidator(_as_list, json_schema_input_type=Rows | tuple[Rows, ...])
    ] = Field(min_length=1)
    eval: Rows | Holdout = Holdout(holdout=0.1)
    test: Rows | Holdout | None = Field(
        default=None, description="Scored once, at the very end; no decision sees it."
    )
    clean: Clean = Clean()
    exclude: Annotated[
        tuple[str, ...], BeforeValidator(_as_texts, json_schema_input_type=str | tuple[str, ...])
    ] = Field(default=(), description="Ids as `tunesmith rows` names them, or files with one id a line.")
    max_length: Whole | None = Field(
        default=None, gt=0, description="Tokens per example; default: the model's."
    )
    overflow: Literal["error", "drop", "truncate"] = Field(
        default="error",
        description="Over-long rows. `truncate` cuts the prompt's start, never what carries loss.",
    )
    loss_on: Literal["assistant", "last_assistant", "all"] = "assistant"
    workers: Whole = Field(default=0, ge=0)
    cache: Flag = True

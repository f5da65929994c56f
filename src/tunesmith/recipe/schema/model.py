"""The section `model`: what the run starts from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from tunesmith.recipe.section import Flag, Section, Whole


class TrainedTokenizer(Section):
    """A byte-level BPE tokenizer trained on the training rows, for models made from scratch."""

    vocab_size: Whole = Field(gt=0)


class TokenizerSpec(Section):
    """Where the tokenizer comes from when it is not the model's own."""

    source: str | None = None
    train: TrainedTokenizer | None = None


class Model(Section):
    """The model to start from: a ``source``, or ``new`` for one made from a configuration."""

    source: str | None = None
    revision: str | None = None
    sha256: str | None = None
    new: dict[str, Any] | None = Field(
        default=None, description="Transformers configuration with `model_type`, for random weights."
    )
    tokenizer: TokenizerSpec | None = None
    chat_template: str | None = Field(default=None, description="Jinja text, a path to it, or `none`.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="Type of the frozen weights and of the arithmetic; trained weights keep float32.",
    )
    quantize: Literal["4bit", "8bit"] | None = Field(
        default=None, description="Frozen weights in 4 bits (NF4) or 8, for adapters to learn over: QLoRA."
    )
    image_size: int = Field(224, gt=0, description="Height and width in pixels, for a `new` vision model.")
    attention: Literal["sdpa", "eager", "flash_attention_2"] = Field(
        default="sdpa", description="`sdpa` is `eager` in architectures that have nothing else."
    )
    trust_remote_code: Flag = Field(
        default=False, description="Run the model's own code, of the commit that `revision` names."
    )

"""The sections `tune`, `optimizer` and `batch`: what learns, how fast, on how many samples a step."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tunesmith.recipe.section import Flag, Number, Section, Whole


class LayerRange(Section):
    """Layers by position (``last: 2``, ``first: 1``) or by a regex over parameter names."""

    last: Whole | None = Field(default=None, gt=0)
    first: Whole | None = Field(default=None, gt=0)
    match: str | None = None


LayerChoice = Literal["all", "head", "none"] | LayerRange


class Lora(Section):
    """Low-rank adapters (arXiv 2106.09685), through peft."""

    rank: Whole = Field(default=8, gt=0, le=65_536)
    alpha: Number | None = Field(default=None, gt=0, description="Default: twice the rank.")
    targets: str | tuple[str, ...] = Field(
        default="all-linear", description="`all-linear`, names, or a regex."
    )
    layers: LayerRange | None = Field(default=None, description="Only in these layers; default: all.")
    dropout: Number = Field(default=0.0, ge=0, lt=1)
    dora: Flag = False
    rslora: Flag = False


class Tune(Section):
    """What learns: layers, adapters, or both. Default: everything."""

    layers: LayerChoice | tuple[LayerChoice, ...] | None = None
    lora: Lora | None = None
    save_modules: tuple[str, ...] = Field(
        default=(), description="Modules trained and saved whole beside it."
    )


class Optimizer(Section):
    """Optimiser, learning rate and its schedule."""

    name: Literal["adamw", "adafactor"] = "adamw"
    learning_rate: Number = Field(gt=0)
    weight_decay: Number = Field(default=0.0, ge=0)
    betas: tuple[Number, Number] = (0.9, 0.999)
    eps: Number = Field(default=1e-8, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Number = Field(default=0.03, ge=0, description="Below 1: share of all steps; from 1: steps.")
    final_learning_rate: Number = Field(
        default=0.0, ge=0, le=1, description="At the end, as a share of the peak."
    )
    clip: Number | None = Field(default=1.0, gt=0, description="Largest global gradient norm.")


class BatchSettings(Section):
    """The global batch: what one optimiser step sees, however many processes there are."""

    size: Whole = Field(gt=0)
    micro: Literal["auto"] | Annotated[Whole, Field(gt=0)] = "auto"
    layout: Literal["auto", "packed", "padded"] = Field(
        default="auto", description="`packed` computes no padding and each shared prompt start once."
    )
    checkpointing: Flag = Field(default=False, description="Recompute activations: less memory, more time.")

"""The section `run`: where a run's files go, what it keeps, when it gives up."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from tunesmith.recipe.schema.quantities import EveryField, Seconds
from tunesmith.recipe.section import Number, Section, Whole


class Average(Section):
    """Averages of weights, tried when training ends: used only if surely better than the best measured."""

    ema: Number | None = Field(
        default=None, ge=0.5, lt=1, description="Decay a step of a running mean, e.g. 0.999."
    )
    soup: Whole | None = Field(
        default=None, gt=1, description="Uniform mean of so many checkpoints, the last ones; they are kept."
    )


class Safety(Section):
    """What happens when the numbers of a step go wrong; all of it is part of the saved state."""

    non_finite: Literal["stop", "skip", "back"] = Field(
        default="stop",
        description="A loss or gradient that is not finite is not learnt from; `back`: to a checkpoint.",
    )
    spike: Literal["ignore", "skip", "back", "stop"] = Field(
        default="ignore", description="A loss far above what is usual: likewise."
    )
    threshold: Number = Field(
        default=8.0, gt=1, description="Robust deviations above the median from which a loss is a spike."
    )
    window: Whole = Field(default=64, ge=16, le=10_000, description="Steps that say what is usual.")
    at_most: Whole = Field(default=3, gt=0, description="Skips in a row, or returns, before the run stops.")
    lower: Number = Field(default=0.5, gt=0, le=1, description="Learning rate's factor after going back.")


TrackerName = Literal["tensorboard", "mlflow", "wandb", "trackio"]


class Tracker(Section):
    """A tracker with settings of its own; secrets are taken from the environment, never from here."""

    name: TrackerName
    project: str | None = Field(default=None, description="Project or experiment; default: `tunesmith`.")
    address: str | None = Field(
        default=None, description="Of MLflow's server; default: a file in the run directory."
    )


class Run(Section):
    """Where the run lives, and what makes it repeatable."""

    dir: str | None = Field(default=None, description="Default: runs/<recipe name>.")
    seed: Whole = Field(default=0, ge=0, lt=2**32)
    save_every: EveryField | None = Field(
        default=None, description="Checkpoints; default: at every evaluation."
    )
    keep: Whole = Field(default=2, gt=0, description="Checkpoints kept.")
    saving: Literal["background", "inline"] = Field(
        default="background",
        description="Write a copy of the state while training goes on, or wait until it is written.",
    )
    average: Average | None = None
    deadline: Seconds = Field(
        default=1800.0, ge=1, description="Longest time without progress in any process before the run ends."
    )
    threads: Literal["auto"] | Annotated[Whole, Field(gt=0)] = "auto"
    merge: Literal["auto", "yes", "no"] = Field(
        default="auto",
        description="Merge the adapter into `model/`; auto: if its base has no name on the hub.",
    )
    trackers: tuple[TrackerName | Tracker, ...] = Field(
        default=(), description="Where steps and measurements are shown as well."
    )
    variants: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Name -> overrides: each is run, and one table compares them."
    )

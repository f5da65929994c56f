"""How far a run is and what it knows, between two steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tunesmith.judge import instability
from tunesmith.judge.comparisons import Comparands, comparands_from_plain, comparands_to_plain
from tunesmith.judge.instability import Instability
from tunesmith.judge.measurement import (
    History,
    Measurement,
    Progress,
    Verdict,
    measurement_from_plain,
    measurement_to_plain,
)

START = Progress(step=0, epoch=0.0, tokens=0, seconds=0.0)
GO_ON = Verdict(decision="continue", rule="", reason="nothing has been measured yet")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A run between two steps.

    Attributes:
        progress: steps, epochs, tokens and seconds so far.
        history: every measurement.
        verdict: the newest.
        best_step: whose weights are kept in ``best/``; ``None`` before the first measurement.
        preempted: whether a signal ended this part of the run.
        kept: what each example gave at the few measurements that the next ones are compared with.
        unmeasured: whether a signal cut short the evaluation that is due at this step.
        micro: samples a pass, if memory left room for fewer than was planned.
        look: step of the next evaluation, where the judge chooses it.
        losses: sum of the training losses since the newest measurement.
        losses_of: how many steps they are of.
        awaited: steps whose weights were handed over to be scored beside training, and are not judged yet.
        trouble: what is remembered of steps that went wrong.
        soup: steps of the newest checkpoints, as many as shall be averaged.
    """

    progress: Progress = START
    history: History = ()
    verdict: Verdict = GO_ON
    best_step: int | None = None
    preempted: bool = False
    unmeasured: bool = False
    micro: int | None = None
    kept: Comparands = field(default_factory=dict)
    look: int | None = None
    losses: float = 0.0
    losses_of: int = 0
    soup: tuple[int, ...] = ()
    awaited: tuple[int, ...] = ()
    trouble: Instability = field(default_factory=Instability)

    @property
    def train_loss(self) -> float | None:
        """Mean training loss since the newest measurement."""
        return self.losses / self.losses_of if self.losses_of else None

    def measured(self, measurement: Measurement) -> State:
        """The state with one more measurement."""
        return replace(self, history=(*self.history, measurement))

    def looked(self) -> State:
        """The state with a mean training loss that begins anew."""
        return replace(self, losses=0.0, losses_of=0)


def to_plain_state(state: State) -> dict[str, Any]:
    """The state as JSON holds it; a signal is not part of it."""
    return {
        "progress": asdict(state.progress),
        "history": [measurement_to_plain(measurement) for measurement in state.history],
        "verdict": asdict(state.verdict),
        "best_step": state.best_step,
        "unmeasured": state.unmeasured,
        "micro": state.micro,
        "kept": comparands_to_plain(state.kept),
        "look": state.look,
        "losses": [state.losses, state.losses_of],
        "soup": list(state.soup),
        "awaited": list(state.awaited),
        "trouble": instability.instability_to_plain(state.trouble),
    }


def from_plain_state(plain: Mapping[str, Any]) -> State:
    """What ``to_plain_state`` gave."""
    return State(
        progress=Progress(**plain["progress"]),
        history=tuple(measurement_from_plain(each) for each in plain["history"]),
        verdict=Verdict(**plain["verdict"]),
        best_step=plain["best_step"],
        unmeasured=plain.get("unmeasured", False),
        micro=plain.get("micro"),
        kept=comparands_from_plain(plain.get("kept", {})),
        look=plain.get("look"),
        losses=plain.get("losses", [0.0, 0])[0],
        losses_of=plain.get("losses", [0.0, 0])[1],
        soup=tuple(plain.get("soup", ())),
        awaited=tuple(plain.get("awaited", ())),
        trouble=instability.instability_from(plain["trouble"]),
    )

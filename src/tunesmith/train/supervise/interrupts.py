"""What a run is asked for between two steps: by a signal, or by a request in its directory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass

from tunesmith.checkpoint.requests import Requests
from tunesmith.world.signals import StopFlag


@dataclass(frozen=True, slots=True)
class Interrupts:
    """What was asked for.

    Attributes:
        leave: save and leave; the same command goes on.
        save: write a checkpoint.
        end: finish well: evaluate, keep the best weights, report.
        scored: judge what has been scored beside training.
    """

    leave: bool = False
    save: bool = False
    end: bool = False
    scored: bool = False

    def counts(self) -> tuple[int, ...]:
        """As numbers that can be summed over processes."""
        return tuple(int(value) for value in astuple(self))


def listener(
    stop_flag: StopFlag, requests: Requests | None, arrived: Callable[[], bool] = lambda: False
) -> Callable[[], Interrupts]:
    """What to call between two steps; one process alone looks for requests and results.

    Args:
        stop_flag: set by a signal to this process.
        requests: of the run, in the first process.
        arrived: whether something has been scored beside training; of the first process.
    """

    def now() -> Interrupts:
        seen = requests.seen() if requests is not None else frozenset()
        end = "stop" in seen
        return Interrupts(leave=stop_flag.asked, save="save" in seen, end=end, scored=arrived())

    return now

"""Which weights are kept when a run goes on under other rules: those that these choose, if they are there.

The choice is a function of the measurements and the rules, and weights are kept as they are measured. So
other rules may choose weights that were not kept. Those are taken from a checkpoint that still holds them;
where none does, the measurement is marked, and the best of the others is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from tunesmith.checkpoint.atomic import link_or_copy, make_folder, publish_folder, writing
from tunesmith.checkpoint.manifest import checkpoint_name, verify, write_manifest
from tunesmith.checkpoint.names import temporary_path
from tunesmith.judge.decide import decide
from tunesmith.judge.measurement import Measurement, known
from tunesmith.judge.selection.best import best_index, primary_metric
from tunesmith.numbers import show
from tunesmith.recipe.schema.stop import StopRule, leaves
from tunesmith.train.engine.process import on_main
from tunesmith.train.resume.checkpointer import Checkpointer
from tunesmith.train.resume.state import State


def judged_again(
    checkpointer: Checkpointer, rules: Sequence[StopRule], state: State
) -> tuple[State, list[str]]:
    """A checkpoint's state as the rules of now judge it, and what has changed; the same on every process."""
    if not state.history:
        return state, []
    single, before = leaves(rules), state.best_step
    metric = primary_metric(single)
    accelerator, run_dir = checkpointer.process.accelerator, checkpointer.run_dir
    state = replace(state, verdict=decide(state.history, rules))
    wanted = state.history[best_index(state.history, single)]
    if wanted.step == before:
        return state, []
    steps = [one.step for one in state.history]
    held = on_main(accelerator, partial(_held, run_dir, steps))
    if not held:
        return state, []  # whoever asks for the weights says what is damaged
    history = tuple(replace(one, lost=one.lost or one.step not in held) for one in state.history)
    chosen = history[best_index(history, single)]
    state = replace(state, history=history, best_step=chosen.step)
    told: list[str] = []
    if chosen.step != wanted.step and known(wanted, metric) is not None:
        told.append(f"the rules choose {_words(metric, wanted)}, whose weights are gone")
    if chosen.step != before:
        on_main(accelerator, partial(_bring, run_dir, chosen.step))
        instead = "" if before is None else f" instead of those of step {before}"
        told.append(
            f"the weights kept are now those of {_words(metric, chosen)}{instead}, by the rules of now"
        )
    return state, told


def _words(metric: str, chosen: Measurement) -> str:
    value = known(chosen, metric)
    return f"step {chosen.step}" + ("" if value is None else f" ({metric} {show(value)})")


def _places(run_dir: Path, step: int) -> tuple[Path, Path]:
    """Where the weights of a step may stand: kept as the best, or in a checkpoint."""
    return run_dir / "best" / checkpoint_name(step), run_dir / "checkpoints" / checkpoint_name(step)


def _held(run_dir: Path, steps: Sequence[int]) -> list[int]:
    """Of these steps, those whose weights are there and whole."""
    return [
        step
        for step in steps
        if any(place.is_dir() and not verify(place) for place in _places(run_dir, step))
    ]


def _bring(run_dir: Path, step: int) -> None:
    """Put the weights of a step into ``best/``, if they stand in a checkpoint alone."""
    final, source = _places(run_dir, step)
    if final.is_dir() and not verify(final):
        return
    folder = temporary_path(final)
    with writing(final):
        final.parent.mkdir(exist_ok=True)
        make_folder(folder)
        for shard in source.glob("weights*.safetensors"):
            link_or_copy(str(shard), str(folder / shard.name))
        write_manifest(folder, {"step": step})
        publish_folder(folder, final, replace=True)

"""Which weights are kept when a run goes on under other rules: those that these choose, if they are there.

The choice is a function of the measurements and the rules, and weights are kept as they are measured. So
other rules may choose weights that were not kept. Those are taken from a checkpoint that still holds them;
where none does, the measurement is marked, and the best of the others is kept.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

from tunesmith.checkpoint.atomic import make_folder, publish_folder, writing
from tunesmith.checkpoint.manifest import checkpoint_name, verify, write_manifest
from tunesmith.checkpoint.names import beside
from tunesmith.judge.best import best_index, known, primary_metric
from tunesmith.judge.decide import decide
from tunesmith.judge.measurement import History, Measurement
from tunesmith.judge.show import show
from tunesmith.train.accelerator import on_main
from tunesmith.train.setup import Setup
from tunesmith.train.state import State


def judged_again(setup: Setup, state: State) -> tuple[State, list[str]]:
    """A checkpoint's state as the rules of now judge it, and what has changed; the same on every process."""
    if not state.history:
        return state, []
    rules, before = setup.recipe.stop, state.best_step
    state = replace(state, verdict=decide(state.history, rules))
    told: list[str] = []
    while True:
        chosen = state.history[best_index(state.history, rules)]
        if chosen.step == before:
            return replace(state, best_step=before), told
        if on_main(setup.accelerator, partial(_brought, setup.run_dir, chosen.step)):
            break
        if all(one.lost or one is chosen for one in state.history):
            return state, told  # nothing is left: whoever asks for the weights says what is damaged
        told.append(f"the rules choose {_words(setup, chosen)}, whose weights are gone")
        state = replace(state, history=_without(state.history, chosen))
    instead = "" if before is None else f" instead of those of step {before}"
    told.append(f"the weights kept are now those of {_words(setup, chosen)},{instead} by the rules of now")
    return replace(state, best_step=chosen.step), told


def _words(setup: Setup, chosen: Measurement) -> str:
    metric = primary_metric(setup.recipe.stop)
    value = known(chosen, metric)
    return f"step {chosen.step}" + ("" if value is None else f" ({metric} {show(value)})")


def _without(history: History, gone: Measurement) -> History:
    return tuple(replace(one, lost=True) if one is gone else one for one in history)


def _brought(run_dir: Path, step: int) -> bool:
    """Whether the weights of a step stand in ``best/``, where they are put if a checkpoint holds them."""
    name = checkpoint_name(step)
    final, source = run_dir / "best" / name, run_dir / "checkpoints" / name
    if final.is_dir() and not verify(final):
        return True
    if not source.is_dir() or verify(source):
        return False
    folder = beside(final)
    with writing(final):
        final.parent.mkdir(exist_ok=True)
        make_folder(folder)
        for shard in source.glob("weights*.safetensors"):
            link_or_copy(str(shard), str(folder / shard.name))
        write_manifest(folder, {"step": step})
        publish_folder(folder, final, replace=True)
    return True


def link_or_copy(source: str, target: str) -> str:
    """Give a file a second name, or a copy where the file system cannot; gives the target."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target

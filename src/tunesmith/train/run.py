"""The wiring of a run, like a table of contents: recipe, parts, setup, loop, result."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from tunesmith.checkpoint.atomic import write_json, write_text
from tunesmith.checkpoint.journal import append_record, truncate_after
from tunesmith.checkpoint.lock import own
from tunesmith.checkpoint.recover import recover
from tunesmith.errors import Exit
from tunesmith.recipe.dump import recipe_hash, to_yaml
from tunesmith.recipe.load import load_recipe, variants
from tunesmith.recipe.schema import Recipe
from tunesmith.train.accelerator import Place, from_main, take_place
from tunesmith.plan.arithmetic import text_of
from tunesmith.train.before import finished_before, free_folder, make_base_models, refuse_other_recipe
from tunesmith.train.build import arithmetic_of, build, dtype_of
from tunesmith.train.compare import compare_variants
from tunesmith.train.finish import finish, resources_of, result_of, write_result
from tunesmith.train.log import Log
from tunesmith.train.loop import train
from tunesmith.train.parts import prepare
from tunesmith.train.preview import preview
from tunesmith.train.setup import Setup
from tunesmith.train.signals import listen
from tunesmith.train.state import State, load_checkpoint
from tunesmith.train.surroundings import surroundings


def run_recipe(path: Path, overrides: Sequence[str] = (), *, fresh: bool = False) -> int:
    """Run a recipe, or each of its variants, in this process; the others do the same.

    Args:
        path: the recipe's file.
        overrides: ``key.path=value``.
        fresh: start over, in a new directory.

    Returns:
        The exit status.

    Raises:
        UserError: for anything that the user must change.
    """
    path = Path(path)
    recipe, several = load_recipe(path, overrides), variants(path, overrides)
    _quiet()
    place = take_place(recipe.run)
    if not several:
        return run_one(recipe, path.resolve().parent, place, fresh=fresh)
    if fresh:
        base = from_main(place.accelerator, str(free_folder(Path(str(recipe.run.dir)))))
        several = [(name, _in_folder(each, f"{base}/{name}")) for name, each in several]
    for _, each in several:
        status = run_one(each, path.resolve().parent, place)
        if status != Exit.FINISHED:
            return status
    if place.world.is_main:
        compare_variants([(name, Path(str(each.run.dir))) for name, each in several])
    return Exit.FINISHED


def run_one(recipe: Recipe, folder: Path, place: Place, *, fresh: bool = False) -> int:
    """One recipe from data to report; continues what was begun in its run directory."""
    run_dir = Path(str(recipe.run.dir))
    if fresh:
        run_dir = Path(from_main(place.accelerator, str(free_folder(run_dir))))
        recipe = _in_folder(recipe, str(run_dir))
    identity = recipe_hash(recipe)
    with ExitStack() as owned:
        if place.world.is_main:
            refuse_other_recipe(run_dir, recipe, identity)
        done = from_main(place.accelerator, finished_before(run_dir))
        if done is not None:
            _say(place, done)
            return Exit.FINISHED
        if place.world.is_main:
            owned.enter_context(own(run_dir))
            recover(run_dir)
        place.accelerator.wait_for_everyone()
        recipe = make_base_models(recipe, place, run_one)
        with _failure_noted(run_dir, place):
            return _train(recipe, folder, place, run_dir, identity)


def _train(recipe: Recipe, folder: Path, place: Place, run_dir: Path, identity: str) -> int:
    parts = prepare(recipe, folder)
    dtype = dtype_of(parts, place)
    about = surroundings(place, dtype=dtype, recipe_hash=identity, data=parts.report.fingerprint)
    setup = build(parts, place, run_dir, identity)
    arithmetic = arithmetic_of(parts, place, setup.bare)
    block = text_of(arithmetic)
    about["trained_parameters"] = sum(count for count, _ in arithmetic.trained.values())
    if place.world.is_main:
        write_text(run_dir / "recipe.yaml", to_yaml(recipe))
        write_text(run_dir / "plan.txt", block + "\n")
        write_json(run_dir / "data.json", parts.report.to_dict())
        write_json(run_dir / "preview.json", preview(parts))
        write_json(run_dir / "environment.json", about)
    state = _continue(setup, place)
    log = Log(
        run_dir,
        main=place.world.is_main,
        total_steps=setup.total_steps,
        samples=recipe.eval.samples,
        labels=getattr(setup.task, "labels", ()),
    )
    log.say(block)
    with log, listen() as stop_flag:
        state = train(setup, state, log, stop_flag)
    if not state.preempted:
        finish(setup, state, parts.processor, dtype)
    if place.world.is_main:
        _conclude(setup, state, place, log, about)
    place.accelerator.wait_for_everyone()
    return Exit.PREEMPTED if state.preempted else Exit.FINISHED


def _continue(setup: Setup, place: Place) -> State:
    state, problems = load_checkpoint(setup.run_dir, setup.accelerator, setup.bare, setup.optimizer)
    if place.world.is_main:
        journal = setup.run_dir / "metrics.jsonl"
        truncate_after(journal, state.progress.step if state.history or state.progress.step else -1)
        for problem in problems:
            _say(place, f"passed over a damaged checkpoint: {problem}")
        if state.progress.step or state.history:
            append_record(journal, {"kind": "resume", "step": state.progress.step}, durable=True)
            _say(place, f"continuing at step {state.progress.step}")
    place.accelerator.wait_for_everyone()
    return state


def _conclude(setup: Setup, state: State, place: Place, log: Log, about: dict[str, Any]) -> None:
    from tunesmith.report.page import write_report

    result = result_of(setup, state, place)
    write_json(setup.run_dir / "environment.json", {**about, "resources": resources_of(state, place)})
    write_result(setup.run_dir, result)
    report = write_report(setup.run_dir)
    if state.preempted:
        log.say(f"stopped by a signal at step {state.progress.step}; run the same command to go on")
        return
    log.say(str(result["explanation"]))
    log.say(f"model   {setup.run_dir / 'model'}\nreport  {report}")


@contextmanager
def _failure_noted(run_dir: Path, place: Place) -> Iterator[None]:
    """Leave a ``result.json`` behind whatever happens; the same command may try again."""
    try:
        yield
    except BaseException as error:
        if place.world.is_main:
            write_result(run_dir, {"status": "failed", "error": f"{type(error).__name__}: {error}"})
        raise


def _in_folder(recipe: Recipe, folder: str) -> Recipe:
    return recipe.model_copy(update={"run": recipe.run.model_copy(update={"dir": folder})})


def _say(place: Place, text: str) -> None:
    if place.world.is_main:
        print(text, flush=True)


def _quiet() -> None:
    """Libraries announce much that a user cannot act on."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(torch|transformers|peft|accelerate)\b")

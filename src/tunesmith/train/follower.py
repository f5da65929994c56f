"""``tunesmith follow RUN``: score the weights that a run hands over, beside its training.

It keeps nothing: what it makes of a look hangs on the look's weights alone. So it may be killed and started
again at any time, and several processes may share the work of one as those of a run do.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.atomic import make_folder, remove_folder
from tunesmith.checkpoint.lock import own, owner_of
from tunesmith.checkpoint.manifest import verify
from tunesmith.checkpoint.names import temporary_path
from tunesmith.checkpoint.shards import read_shards
from tunesmith.errors import Exit, UserError
from tunesmith.fault import fault
from tunesmith.model.digest import base_digest
from tunesmith.prepare.base_model import read_object
from tunesmith.prepare.hardware import silence_libraries
from tunesmith.prepare.inputs import prepare
from tunesmith.prepare.user_metrics import code_digest
from tunesmith.recipe.load import load_recipe
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.train.async_eval import mailbox
from tunesmith.train.async_eval.liveness import TrainerLiveness, has_ended
from tunesmith.train.build import build
from tunesmith.train.deliver.select_weights import score_test_baseline
from tunesmith.train.engine.process import Process, join_processes, on_main
from tunesmith.train.evaluate.evaluation import evaluate
from tunesmith.train.evaluate.evaluator import Evaluator
from tunesmith.train.evaluate.score import Evaluation
from tunesmith.train.resume.save import open_saver
from tunesmith.train.resume.snapshot import restore_tensors
from tunesmith.train.supervise.heartbeat import Pulse, all_gather_objects
from tunesmith.train.supervise.watchdog import leave_at_once
from tunesmith.world.environment import read_world
from tunesmith.world.launcher import process_of
from tunesmith.world.signals import Leaving, listen

PAUSE = 0.2
"""Seconds between two looks while there is nothing to score."""
NOTHING = -1
TAKE = 120.0
"""Seconds that a run's own scorer waits for the one before it to leave."""
SIGNS = 1.0
"""Seconds between two signs of life."""


def follow_run(run_dir: Path, *, threads: int | None = None, child_of: int | None = None) -> int:
    """Score what a run hands over until it has ended.

    Args:
        run_dir: of the run, which need not have begun.
        threads: to compute with; by default those of the recipe.
        child_of: number of the process with which it shall end.

    Returns:
        The exit status: 75 if a signal ended it before the run had ended.

    Raises:
        UserError: if the run is not evaluated beside training, or somebody else scores it already.
    """
    silence_libraries()
    run_dir = run_dir.absolute()
    with listen(partial(leave_at_once, read_world(os.environ))) as flag:
        flag.launcher = flag.launcher if child_of is None else process_of(child_of)
        pulse = Pulse(flag)
        try:
            pulse.look()
            about = _begun(run_dir, pulse)
            if about is None:
                return Exit.FINISHED
            recipe = _recipe_of(run_dir, about, threads)
            flag.waiting = True
            process = join_processes(recipe.run, pulse)
            with (
                _alone(run_dir, process, patience=0.0 if child_of is None else TAKE),
                _signs(run_dir, process),
            ):
                flag.waiting = False
                _score_all(run_dir, _evaluator_of(run_dir, recipe, about, process))
        except Leaving:
            return Exit.PREEMPTED
    return Exit.FINISHED


def _begun(run_dir: Path, pulse: Pulse) -> Mapping[str, Any] | None:
    """What the run told of itself when it began; ``None`` if it has ended and is not to be followed."""
    told = False
    while not (run_dir / "environment.json").exists():
        pulse.look()
        if not told:
            print(f"waiting for {run_dir} to begin", flush=True)
            told = True
        time.sleep(PAUSE)
    if has_ended(run_dir):
        print(f"{run_dir} has ended", flush=True)
        return None
    return read_object(run_dir / "environment.json")


def _recipe_of(run_dir: Path, about: Mapping[str, Any], threads: int | None) -> Recipe:
    """The run's recipe, read where the run read it."""
    folder = Path(str(about.get("working_folder", "")))
    if not folder.is_dir():
        raise UserError(
            f"the run was started in `{folder}`, which is not there", str(run_dir), "follow it where it is"
        )
    os.chdir(folder)
    os.environ.setdefault("ACCELERATE_MIXED_PRECISION", str(about.get("mixed_precision", "no")))
    recipe = load_recipe(run_dir / "recipe.yaml")
    if recipe.eval.mode == "inline":
        raise UserError(
            "this run evaluates by itself, so there is nothing to follow",
            str(run_dir / "recipe.yaml"),
            "write `eval.mode: follower` in its recipe; `tunesmith watch` shows how a run goes on",
        )
    run = recipe.run if threads is None else recipe.run.model_copy(update={"threads": threads})
    return recipe.model_copy(update={"run": run})


@contextmanager
def _alone(run_dir: Path, process: Process, *, patience: float) -> Iterator[None]:
    """Be the only one who scores this run."""
    folder = run_dir / mailbox.FOLDER
    with ExitStack() as stack:
        on_main(process.accelerator, lambda: _take(stack, folder, patience))
        yield


def _take(stack: ExitStack, folder: Path, patience: float) -> None:
    make_folder(folder)
    deadline = time.monotonic() + patience
    while owner_of(folder) is not None and time.monotonic() < deadline:
        time.sleep(PAUSE)  # the child of a run that was killed leaves when it notices
    stack.enter_context(own(folder))
    for rest in folder.iterdir():
        if mailbox.is_being_scored(rest):
            remove_folder(rest)


@contextmanager
def _signs(run_dir: Path, process: Process) -> Iterator[None]:
    """Tell once in a while, from a thread, what this process is doing: those who train wait for it."""
    over, pulse = threading.Event(), process.pulse
    path = run_dir / mailbox.FOLDER / mailbox.SIGN

    def tell() -> None:
        while not (over.wait(SIGNS) or pulse.flag.orphaned):
            said = {"beats": pulse.beats, "pid": os.getpid(), "host": socket.gethostname()}
            temporary = temporary_path(path)
            with suppress(OSError):
                temporary.write_text(
                    json.dumps(said | {"phase": pulse.phase, "step": pulse.step}), encoding="utf-8"
                )
                temporary.replace(path)

    thread = threading.Thread(target=tell, name="signs", daemon=True)
    if process.is_main:
        thread.start()
    try:
        yield
    finally:
        over.set()


def _evaluator_of(run_dir: Path, recipe: Recipe, about: Mapping[str, Any], process: Process) -> Evaluator:
    look = process.pulse.look
    parts = process.together("prepare", lambda: prepare(recipe, Path(str(about["folder"])), look=look))
    if parts.report.fingerprint != about["data_fingerprint"]:
        raise UserError(
            "the rows are not those that the run has",
            str(run_dir),
            "bring back the files that it read; what it evaluates on must be the same here",
        )
    base = on_main(process.accelerator, partial(base_digest, recipe.model))
    if base != about.get("base_digest", base):
        raise UserError(
            "the base model is not the one that the run has",
            str(run_dir),
            f"bring the same `{recipe.model.source}` to this machine; what is scored here hangs on it",
        )
    if code_digest(recipe, Path(str(about["folder"]))) != about.get("code_digest", ""):
        raise UserError(
            "a file of the recipe's own code is not the one that the run has",
            str(run_dir),
            f"bring the same code to `{about['folder']}` on this machine",
        )
    saver = open_saver(process.accelerator, recipe.run, lambda: None)
    make = partial(build, parts, process, run_dir, str(about["recipe_hash"]), saver=saver)
    return process.together("load", make).evaluator


def _score_all(run_dir: Path, evaluator: Evaluator) -> None:
    """Score what is there, oldest first, until the run has ended.

    Raises:
        Leaving: in all processes, if one was asked to leave.
    """
    alone = TrainerLiveness(run_dir, evaluator.recipe.run.deadline)
    accelerator, pulse = evaluator.process.accelerator, evaluator.process.pulse
    while True:
        pulse.enter("wait")
        if any(all_gather_objects(accelerator, [pulse.flag.asked])):
            raise Leaving
        step = on_main(accelerator, partial(_next_step, run_dir, alone))
        if step is None:
            return
        if step >= 0:
            _score(run_dir, evaluator, step)
        else:
            time.sleep(PAUSE)


def _next_step(run_dir: Path, alone: TrainerLiveness) -> int | None:
    """The oldest step to be scored; ``NOTHING`` for now, and ``None`` when the run has ended."""
    if has_ended(run_dir):
        return None
    steps: list[int] = []
    with suppress(FileNotFoundError):  # the run may end, and remove them, just now
        steps = mailbox.steps_to_score(run_dir)
    if not steps:
        alone.check()
    return steps[0] if steps else NOTHING


def _score(run_dir: Path, evaluator: Evaluator, step: int) -> None:
    """Score the weights of one step; nothing if the run has given them up meanwhile."""
    process = evaluator.process
    taken = on_main(process.accelerator, partial(_taken, run_dir, step))
    if taken is None:
        return
    process.pulse.enter("evaluate", step)
    fault("score")
    if not _put_in(evaluator, taken):
        return
    evaluation, newest = evaluate(evaluator, taken.progress)
    measured = mailbox.as_requested(evaluation.measurement, taken)
    test = run_dir / mailbox.FOLDER / mailbox.TEST_SCORES
    tested = step == 0 and bool(evaluator.eval_sets.test)
    if tested:
        score_test_baseline(evaluator, test)
    if not process.is_main:
        return
    move: Callable[[Path], object] | None = test.replace if tested else None
    written = mailbox.write_result(run_dir, taken, Evaluation(measured, evaluation.scored), newest, move)
    print(f"step {step}: {'scored' if written else 'given up by the run'}", flush=True)


def _put_in(evaluator: Evaluator, taken: mailbox.EvalRequest) -> bool:
    """Give the model a look's weights; ``False`` in all processes if the run has given them up meanwhile."""
    try:
        saved = read_shards(taken.folder, "weights")
    except OSError:
        saved = {}
    if not all(all_gather_objects(evaluator.process.accelerator, [bool(saved)])):
        return False
    restore_tensors(saved, evaluator.learner.engine, evaluator.learner.model)
    return True


def _taken(run_dir: Path, step: int) -> mailbox.EvalRequest | None:
    found = mailbox.read_request(run_dir, step)
    if found is None:
        return None
    problems = verify(found.folder)
    if problems and mailbox.read_request(run_dir, step) == found:
        raise UserError(
            f"the weights of step {step}, which were to be scored, are damaged: {problems[0]}",
            str(found.folder),
            "end the run and give its command again: it goes on from its last checkpoint",
        )
    return None if problems else found

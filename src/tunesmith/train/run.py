"""The wiring of a run, like a table of contents: recipe, parts, setup, loop, result."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.atomic import write_json, write_text
from tunesmith.checkpoint.journal import append_record, keep_evaluations, truncate_after
from tunesmith.checkpoint.requests import Requests, acknowledge
from tunesmith.errors import Exit
from tunesmith.fault import fault
from tunesmith.model.digest import base_digest
from tunesmith.plan.arithmetic import plan_text
from tunesmith.prepare.base_model import PlannedRun, on_base_model
from tunesmith.prepare.check.changes import OTHER_BASE, OTHER_ROWS, ResumePolicy, changes_since
from tunesmith.prepare.hardware import silence_libraries
from tunesmith.prepare.inputs import PreparedInputs, prepare
from tunesmith.prepare.preview import drawings, preview
from tunesmith.prepare.user_metrics import code_digest, own_code_files
from tunesmith.recipe.dump import recipe_hash, to_yaml
from tunesmith.recipe.locate import pointing
from tunesmith.report.page import write_report
from tunesmith.train.async_eval import mailbox
from tunesmith.train.async_eval.handover import restore_queue
from tunesmith.train.async_eval.pending import ScorerUnavailable
from tunesmith.train.async_eval.scorer import with_scorer
from tunesmith.train.build import arithmetic_of, build
from tunesmith.train.context import Setup
from tunesmith.train.deliver.finish import finish, resources_of, result_of, status_of
from tunesmith.train.deliver.reselect import judged_again
from tunesmith.train.deliver.select_weights import FinalWeights, tell_test
from tunesmith.train.engine.process import on_main
from tunesmith.train.log import SCORES_OF, Log, open_log
from tunesmith.train.loop import save_state, train
from tunesmith.train.measure import planned_evaluation_step
from tunesmith.train.record.environment import describe_environment, remote_code
from tunesmith.train.record.rows import record_order
from tunesmith.train.record.trackers import tracked
from tunesmith.train.recover import (
    RollbackRequested,
    StepTooLarge,
    drop_newer_state,
    halve_micro_batch,
    roll_back,
    with_micro,
)
from tunesmith.train.resume.exactness import continuation_of, continuation_text
from tunesmith.train.resume.ownership import OwnedRun, own_in_turn, refuse_unmade
from tunesmith.train.resume.restore import load_checkpoint, saved_facts, saved_recipe
from tunesmith.train.resume.save import open_saver, wait_for_saver
from tunesmith.train.resume.state import State
from tunesmith.train.supervise.interrupts import listener
from tunesmith.train.supervise.watchdog import LEFT_EARLY, leave_at_once, watching
from tunesmith.world.environment import read_world
from tunesmith.world.signals import Leaving, listen

EXACTLY = ResumePolicy()


def run_recipes(recipes: Sequence[PlannedRun], terms: ResumePolicy = EXACTLY) -> int:
    """Recipes from data to report, in this process; the others do the same.

    The last is the one that was asked for, and those before it make the models that it starts from. The same
    again goes on where it ended, and what is finished only says so.

    Args:
        recipes: each starts from the model that the one before makes; ``run.dir`` is where everything goes.
        terms: on which the last goes on, if it was begun before.

    Returns:
        The exit status.

    Raises:
        UserError: for anything that the user must change.
    """
    silence_libraries()
    world, status = read_world(os.environ), int(Exit.FINISHED)
    with listen(partial(leave_at_once, world)) as stop_flag:
        stop_flag.waiting = True
        try:
            with ExitStack() as stack:
                waiting = list(own_in_turn(recipes, terms, stop_flag, stack))
                stop_flag.waiting = False
                while waiting:
                    run = waiting.pop()
                    deadline = run.planned.recipe.run.deadline
                    with (
                        pointing(run.planned.file, run.planned.overrides),
                        watching(run.process.pulse, world, run.run_dir, deadline, run.lease.check),
                    ):
                        status = _run_owned(run)
                    run.release()
                    if waiting:
                        refuse_unmade(run.planned, status)
        except Leaving:
            if world.is_main:
                print(LEFT_EARLY, flush=True)
            return Exit.PREEMPTED
    return status


def _run_owned(run: OwnedRun) -> int:
    process, held, run_dir = run.process, run.lease, run.run_dir
    accelerator, pulse, folder = process.accelerator, process.pulse, run.planned.folder
    recipe, identity = on_base_model(run.planned.recipe), recipe_hash(run.planned.recipe)
    process.take_threads()
    parts = process.together("prepare", lambda: prepare(recipe, folder, look=pulse.look))
    made_of = {
        "data": parts.report.fingerprint,
        "base": process.together("prepare", lambda: on_main(accelerator, partial(base_digest, recipe.model))),
        "code": code_digest(recipe, folder),
    }
    since = partial(changes_since, run_dir, made_of, accept=run.terms.accept_changes)
    changes = (*held.changes, *on_main(accelerator, since))
    saver = open_saver(accelerator, recipe.run, held.check)
    setup = process.together("load", partial(build, parts, process, run_dir, identity, saver=saver))
    state = process.together("continue", lambda: _continue(setup, run.terms, changes))
    pulse.begun = True
    held.check()
    about = _write_beginning(parts, setup, folder, base=made_of["base"])
    log = open_log(setup, held.check)
    log.say((run_dir / "plan.txt").read_text(encoding="utf-8").rstrip())
    for note in parts.report.notes:
        log.say(note)
    with log, tracked(recipe.run.trackers, run_dir, main=process.is_main) as hurry:
        with with_scorer(process, run_dir, recipe) as handover:
            state = _train_on(replace(setup, handover=handover), state, parts, log)
        chosen = FinalWeights()
        if state.preempted:
            hurry()
        else:
            pulse.enter("export")
            chosen = finish(setup.evaluator, setup.checkpointer, state, parts, log, still_ours=held.check)
        pulse.enter("conclude")
        if process.is_main:
            _conclude(setup, state, log, about, chosen, still_ours=held.check)
        fault("exit")
        accelerator.wait_for_everyone()
    ends = {"preempted": Exit.PREEMPTED, "failed": Exit.USER}
    return ends.get(status_of(state, recipe.stop), Exit.FINISHED)


def _train_on(setup: Setup, state: State, parts: PreparedInputs, log: Log) -> State:
    """Train to the end, also where a step was too large or went wrong."""
    requests = Requests(setup.checkpointer.run_dir) if setup.process.is_main else None
    asked = listener(setup.process.pulse.flag, requests, _arrived(setup, state))
    while True:
        fitting = with_micro(setup, state.micro)
        try:
            return train(fitting, state, log, asked)
        except StepTooLarge as large:
            state = halve_micro_batch(fitting, large, parts)
            log.say(f"out of memory: from here on {state.micro} a pass; the batch stays the same")
        except ScorerUnavailable as alone:
            save_state(fitting, alone.state)
            wait_for_saver(fitting.checkpointer)
            raise alone.trouble from alone
        except RollbackRequested as wrong:
            state = roll_back(fitting, wrong)
            save_state(fitting, state)
            wait_for_saver(fitting.checkpointer)
            if not state.verdict.stop:
                drop_newer_state(fitting, wrong, state)
                log.say(f"back at step {state.progress.step}, learning rate x {state.trouble.factor:g}")


def _arrived(setup: Setup, state: State) -> Callable[[], bool]:
    """Whether something has been scored beside training; only the first process looks."""
    if setup.handover is None or not setup.process.is_main:
        return lambda: False
    setup.handover.awaited = next(iter(state.awaited), None)
    return setup.handover.arrived


def _write_beginning(parts: PreparedInputs, setup: Setup, folder: Path, *, base: str) -> dict[str, Any]:
    """What is known before the first step: recipe, plan, data report, preview and environment."""
    process, learner, run_dir = setup.process, setup.learner, setup.checkpointer.run_dir
    arithmetic, identity = arithmetic_of(parts, process, learner.model), setup.checkpointer.recipe_hash
    data = parts.report.fingerprint
    about = describe_environment(process, dtype=learner.dtype, recipe_hash=identity, data=data, base=base)
    about["folder"] = str(folder.absolute())
    about["remote_code"] = remote_code(parts.recipe)
    if code := own_code_files(parts.recipe, folder):
        about["own_code"] = [f"{name}@{digest}" for name, digest in code.items()]
        about["code_digest"] = code_digest(parts.recipe, folder)
    about["trained_parameters"] = sum(count for count, _ in arithmetic.trained.values())
    if process.is_main:
        write_text(run_dir / "recipe.yaml", to_yaml(parts.recipe))
        write_text(run_dir / "plan.txt", plan_text(arithmetic) + "\n")
        write_json(run_dir / "data.json", parts.report.to_dict())
        write_json(run_dir / "preview.json", preview(parts))
        if drawn := drawings(parts):
            write_json(run_dir / "drawings.json", drawn)
        write_json(run_dir / "environment.json", about)
    process.accelerator.wait_for_everyone()
    return about


def _continue(setup: Setup, terms: ResumePolicy, changes: Sequence[str]) -> State:
    checkpointer, run_dir, recipe = setup.checkpointer, setup.checkpointer.run_dir, setup.recipe
    state, problems = load_checkpoint(checkpointer, weights_only=terms.weights_only)
    state, left_out = restore_queue(checkpointer, state, inline=recipe.eval.mode == "inline")
    step = state.progress.step
    begun = bool(step or state.history)
    # other rules may have written it, also where a run that accepted them was cut off before it saved
    if begun and (changes or saved_recipe(run_dir, step) != checkpointer.recipe_hash):
        state, chosen = judged_again(checkpointer, recipe.stop, state)
        left_out += chosen
        state = replace(state, look=planned_evaluation_step(setup, state))
    if setup.process.is_main:
        if OTHER_ROWS in changes or OTHER_BASE in changes:
            (run_dir / SCORES_OF).unlink(missing_ok=True)
        journal = run_dir / "metrics.jsonl"
        truncate_after(journal, step if begun else -1)
        keep_evaluations(journal, {one.step for one in state.history})
        record_order(run_dir, setup.ids, setup.order, step if begun else 0)
        for problem in problems:
            print(f"passed over a damaged checkpoint: {problem}", flush=True)
        for sentence in left_out:
            print(sentence, flush=True)
        if begun:
            facts = with_micro(setup, state.micro).checkpointer.facts
            how = continuation_of(
                step, saved_facts(run_dir, step), facts, changes=changes, weights_only=terms.weights_only
            )
            append_record(journal, {"kind": "resume", **asdict(how)}, durable=True)
            print(continuation_text(how, str(setup.learner.dtype).removeprefix("torch.")), flush=True)
    setup.process.accelerator.wait_for_everyone()
    return state


def _conclude(
    setup: Setup,
    state: State,
    log: Log,
    about: dict[str, Any],
    chosen: FinalWeights,
    *,
    still_ours: Callable[[], None],
) -> None:
    process, run_dir = setup.process, setup.checkpointer.run_dir
    result = result_of(process, run_dir, setup.recipe.stop, state, chosen)
    resources = resources_of(process, state, baseline_bytes=setup.baseline_bytes)
    tell_test(run_dir, setup.checkpointer.recipe_hash, chosen, state.progress.step)
    for name, content in (("environment.json", {**about, "resources": resources}), ("result.json", result)):
        write_json(run_dir / name, content, check=still_ours)
    still_ours()
    report = write_report(run_dir)
    acknowledge(run_dir, "save")
    if not state.preempted:
        acknowledge(run_dir, "stop")
    if state.preempted:
        log.say(f"stopped by a signal at step {state.progress.step}; run the same command to go on")
        return
    mailbox.drop_all(run_dir)
    log.say(str(result["explanation"]))
    log.say(f"model   {run_dir / 'model'}\nreport  {report}")

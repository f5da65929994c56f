"""The wiring of a run, like a table of contents: recipe, parts, setup, loop, result."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
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
from tunesmith.prepare.hardware import silence_libraries
from tunesmith.prepare.inputs import PreparedInputs, prepare
from tunesmith.prepare.preview import preview
from tunesmith.recipe.dump import recipe_hash, to_yaml
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.report.page import write_report
from tunesmith.train.async_eval import mailbox
from tunesmith.train.async_eval.handover import restore_queue
from tunesmith.train.async_eval.pending import ScorerUnavailable
from tunesmith.train.async_eval.scorer import with_scorer
from tunesmith.train.build import arithmetic_of, build, dtype_of
from tunesmith.train.context import Setup
from tunesmith.train.deliver.finish import finish, resources_of, result_of, status_of
from tunesmith.train.deliver.reselect import judged_again
from tunesmith.train.deliver.select_weights import FinalWeights, tell_test
from tunesmith.train.engine.process import ProcessContext, join_processes, on_main
from tunesmith.train.log import SCORES_OF, Log, open_log
from tunesmith.train.loop import save_state, train
from tunesmith.train.measure import planned_evaluation_step
from tunesmith.train.record.environment import describe_environment, remote_code
from tunesmith.train.record.rows import record_order
from tunesmith.train.record.trackers import refuse_missing_trackers, tracked
from tunesmith.train.recover import (
    RollbackRequested,
    StepTooLarge,
    drop_newer_state,
    halve_micro_batch,
    roll_back,
    with_micro,
)
from tunesmith.train.resume.exactness import ResumePolicy, continuation_of, continuation_text
from tunesmith.train.resume.ownership import (
    OTHER_BASE,
    OTHER_ROWS,
    RunLease,
    changes_since,
    make_base_models,
    own_run_dir,
)
from tunesmith.train.resume.restore import load_checkpoint, saved_facts, saved_recipe
from tunesmith.train.resume.save import open_saver, wait_for_saver
from tunesmith.train.resume.state import State
from tunesmith.train.supervise.heartbeat import Pulse
from tunesmith.train.supervise.interrupts import listener
from tunesmith.train.supervise.watchdog import LEFT_EARLY, leave_at_once, watching
from tunesmith.world.environment import read_world
from tunesmith.world.signals import Leaving, listen

EXACTLY = ResumePolicy()


def run_recipe(recipe: Recipe, folder: Path, terms: ResumePolicy = EXACTLY) -> int:
    """One recipe from data to report, in this process; the others do the same.

    The same recipe again goes on where it ended, and a finished one only says so.

    Args:
        recipe: resolved; ``run.dir`` is where everything goes.
        folder: of the recipe's file.
        terms: on which it goes on, if it was begun before.

    Returns:
        The exit status.

    Raises:
        UserError: for anything that the user must change.
    """
    silence_libraries()
    with listen(partial(leave_at_once, read_world(os.environ))) as stop_flag:
        stop_flag.waiting = True
        place = join_processes(recipe.run, beside=int(recipe.eval.mode == "async"))
        run_dir, identity = Path(str(recipe.run.dir)), recipe_hash(recipe)
        try:
            with own_run_dir(run_dir, recipe, identity, place, terms=terms) as held:
                stop_flag.waiting = False
                if held.finished:
                    return Exit.FINISHED
                refuse_missing_trackers(recipe.run.trackers)
                recipe, pulse = make_base_models(recipe, place, run_recipe), Pulse(stop_flag)
                with watching(pulse, place.world, run_dir, recipe.run.deadline, held.check):
                    return _run_owned(recipe, folder, place, identity, held=held, pulse=pulse, terms=terms)
        except Leaving:
            if place.world.is_main:
                print(LEFT_EARLY, flush=True)
            return Exit.PREEMPTED


def _run_owned(
    recipe: Recipe,
    folder: Path,
    place: ProcessContext,
    identity: str,
    *,
    held: RunLease,
    pulse: Pulse,
    terms: ResumePolicy,
) -> int:
    run_dir, together = Path(str(recipe.run.dir)), partial(pulse.together, place.accelerator)
    parts = together("prepare", lambda: prepare(recipe, folder, look=pulse.look))
    made_of = {
        "data": parts.report.fingerprint,
        "base": together("prepare", lambda: on_main(place.accelerator, partial(base_digest, recipe.model))),
    }
    since = partial(changes_since, run_dir, made_of, accept=terms.accept_changes)
    changes = (*held.changes, *on_main(place.accelerator, since))
    saver = open_saver(place.accelerator, recipe.run, held.check)
    built = partial(build, parts, place, run_dir, identity, saver=saver, pulse=pulse)
    setup = together("load", built)
    state = together("continue", lambda: _continue(setup, place, terms, changes))
    pulse.begun = True
    held.check()
    about = _write_beginning(parts, setup, place, identity, folder, base=made_of["base"])
    log = open_log(setup, place, held.check)
    log.say((run_dir / "plan.txt").read_text(encoding="utf-8").rstrip())
    for note in parts.report.notes:
        log.say(note)
    with log, tracked(recipe.run.trackers, run_dir, main=place.world.is_main) as hurry:
        with with_scorer(setup, place) as accompanied:
            state = _train_on(accompanied, state, parts, place, log)
        chosen = FinalWeights()
        if state.preempted:
            hurry()
        else:
            pulse.enter("export")
            chosen = finish(setup, state, parts, log, dtype_of(parts, place), still_ours=held.check)
        pulse.enter("conclude")
        if place.world.is_main:
            _conclude(setup, state, place, log, about, chosen, still_ours=held.check)
        fault("exit")
        place.accelerator.wait_for_everyone()
    ends = {"preempted": Exit.PREEMPTED, "failed": Exit.USER}
    return ends.get(status_of(state, recipe.stop), Exit.FINISHED)


def _train_on(setup: Setup, state: State, parts: PreparedInputs, place: ProcessContext, log: Log) -> State:
    """Train to the end, also where a step was too large or went wrong."""
    requests = Requests(setup.run_dir) if place.world.is_main else None
    asked = listener(setup.pulse.flag, requests, _arrived(setup, state))
    while True:
        fitting = with_micro(setup, state.micro)
        try:
            return train(fitting, state, log, asked)
        except StepTooLarge as large:
            state = halve_micro_batch(fitting, large, parts, place)
            log.say(f"out of memory: from here on {state.micro} a pass; the batch stays the same")
        except ScorerUnavailable as alone:
            save_state(fitting, alone.state)
            wait_for_saver(fitting.saver, place.accelerator)
            raise alone.trouble from alone
        except RollbackRequested as wrong:
            state = roll_back(fitting, wrong)
            save_state(fitting, state)
            wait_for_saver(fitting.saver, place.accelerator)
            if not state.verdict.stop:
                drop_newer_state(fitting, wrong, state)
                log.say(f"back at step {state.progress.step}, learning rate x {state.trouble.factor:g}")


def _arrived(setup: Setup, state: State) -> Callable[[], bool]:
    """Whether something has been scored beside training; only the first process looks."""
    if setup.handover is None or not setup.accelerator.is_main_process:
        return lambda: False
    setup.handover.awaited = next(iter(state.awaited), None)
    return setup.handover.arrived


def _write_beginning(
    parts: PreparedInputs, setup: Setup, place: ProcessContext, identity: str, folder: Path, *, base: str
) -> dict[str, Any]:
    """What is known before the first step: recipe, plan, data report, preview and environment."""
    arithmetic, run_dir = arithmetic_of(parts, place, setup.bare), setup.run_dir
    data = parts.report.fingerprint
    about = describe_environment(
        place, dtype=dtype_of(parts, place), recipe_hash=identity, data=data, base=base
    )
    about["folder"] = str(folder.absolute())
    about["remote_code"] = remote_code(parts.recipe)
    about["trained_parameters"] = sum(count for count, _ in arithmetic.trained.values())
    if place.world.is_main:
        write_text(run_dir / "recipe.yaml", to_yaml(parts.recipe))
        write_text(run_dir / "plan.txt", plan_text(arithmetic) + "\n")
        write_json(run_dir / "data.json", parts.report.to_dict())
        write_json(run_dir / "preview.json", preview(parts))
        write_json(run_dir / "environment.json", about)
    place.accelerator.wait_for_everyone()
    return about


def _continue(setup: Setup, place: ProcessContext, terms: ResumePolicy, changes: Sequence[str]) -> State:
    state, problems = load_checkpoint(
        setup.run_dir,
        setup.accelerator,
        setup.engine,
        setup.bare,
        setup.mean,
        weights_only=terms.weights_only,
    )
    state, left_out = restore_queue(setup, state)
    step = state.progress.step
    begun = bool(step or state.history)
    # other rules may have written it, also where a run that accepted them was cut off before it saved
    if begun and (changes or saved_recipe(setup.run_dir, step) != setup.recipe_hash):
        state, chosen = judged_again(setup, state)
        left_out += chosen
        state = replace(state, look=planned_evaluation_step(setup, state))
    if place.world.is_main:
        if OTHER_ROWS in changes or OTHER_BASE in changes:
            (setup.run_dir / SCORES_OF).unlink(missing_ok=True)
        journal = setup.run_dir / "metrics.jsonl"
        truncate_after(journal, step if begun else -1)
        keep_evaluations(journal, {one.step for one in state.history})
        record_order(setup, step if begun else 0)
        for problem in problems:
            print(f"passed over a damaged checkpoint: {problem}", flush=True)
        for sentence in left_out:
            print(sentence, flush=True)
        if begun:
            facts = with_micro(setup, state.micro).facts
            how = continuation_of(
                step,
                saved_facts(setup.run_dir, step),
                facts,
                changes=changes,
                weights_only=terms.weights_only,
            )
            append_record(journal, {"kind": "resume", **asdict(how)}, durable=True)
            print(continuation_text(how, str(setup.dtype).removeprefix("torch.")), flush=True)
    place.accelerator.wait_for_everyone()
    return state


def _conclude(
    setup: Setup,
    state: State,
    place: ProcessContext,
    log: Log,
    about: dict[str, Any],
    chosen: FinalWeights,
    *,
    still_ours: Callable[[], None],
) -> None:
    result, resources = result_of(setup, state, place, chosen), resources_of(setup, state, place)
    tell_test(setup.run_dir, setup.recipe_hash, chosen, state.progress.step)
    for name, content in (("environment.json", {**about, "resources": resources}), ("result.json", result)):
        write_json(setup.run_dir / name, content, check=still_ours)
    still_ours()
    report = write_report(setup.run_dir)
    acknowledge(setup.run_dir, "save")
    if not state.preempted:
        acknowledge(setup.run_dir, "stop")
    if state.preempted:
        log.say(f"stopped by a signal at step {state.progress.step}; run the same command to go on")
        return
    mailbox.drop_all(setup.run_dir)
    log.say(str(result["explanation"]))
    log.say(f"model   {setup.run_dir / 'model'}\nreport  {report}")

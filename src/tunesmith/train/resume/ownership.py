"""Before a run: is this directory ours, and which recipes have to be run before it?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tunesmith.checkpoint.atomic import write_json
from tunesmith.checkpoint.lock import own
from tunesmith.checkpoint.run_dir import make_private, recover, refuse_links
from tunesmith.errors import Exit, UserError, describe_error
from tunesmith.prepare.base_model import PlannedRun, finished_before
from tunesmith.prepare.check.changes import ResumePolicy, changes_of_recipe
from tunesmith.prepare.check.trackers import refuse_missing_trackers
from tunesmith.recipe.dump import recipe_hash
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.train.engine.process import Process, from_main, join_processes, on_main
from tunesmith.train.supervise.heartbeat import Pulse
from tunesmith.train.supervise.watchdog import clear_heartbeats, preempted_early
from tunesmith.world.signals import Leaving, StopFlag


@dataclass(frozen=True, slots=True)
class RunLease:
    """A run directory that is ours.

    Attributes:
        finished: whether there is nothing left to do.
        changes: of the recipe since the run was begun, which the command accepts.
        check: raises if it is ours no longer; asked before anything is published.
    """

    finished: bool
    check: Callable[[], None] = lambda: None
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedRun:
    """A recipe that has something left to do, and whose run directory is ours.

    Attributes:
        planned: what is to be run.
        process: this one, as the recipe wants it.
        lease: of its directory.
        terms: on which it goes on, if it was begun before.
        release: lets go of the directory.
    """

    planned: PlannedRun
    process: Process
    lease: RunLease
    terms: ResumePolicy
    release: Callable[[], None]

    @property
    def run_dir(self) -> Path:
        """Where everything goes."""
        return Path(str(self.planned.recipe.run.dir))


def own_in_turn(
    recipes: Sequence[PlannedRun], terms: ResumePolicy, stop_flag: StopFlag, stack: ExitStack
) -> Iterator[OwnedRun]:
    """Each recipe that has to be run, from the last, which was asked for, to the first, which is run first.

    So a run is refused before its base model is made, and nobody takes its directory meanwhile. Where one
    is finished, those before it have nothing to do.

    Args:
        recipes: each starts from the model that the one before makes.
        terms: of the last; the others go on exactly.
        stop_flag: set by signals.
        stack: holds the directories.

    Raises:
        UserError: if a directory is another's, or a run would be refused for another reason.
    """
    process: Process | None = None
    for planned in reversed(recipes):
        recipe, run_dir = planned.recipe, Path(str(planned.recipe.run.dir))
        if process is not None:
            if from_main(process.accelerator, finished_before(run_dir)) is not None:
                return
            if process.is_main:
                print(f"first, the base model: {planned.source}", flush=True)
        process = join_processes(recipe.run, Pulse(stop_flag), beside=int(recipe.eval.mode == "async"))
        policy, own = (ResumePolicy() if planned.source else terms), stack.enter_context(ExitStack())
        held = own_run_dir(run_dir, recipe, recipe_hash(recipe), process, terms=policy)
        lease = own.enter_context(held)
        if lease.finished:
            return
        refuse_missing_trackers(recipe.run.trackers)
        yield OwnedRun(planned=planned, process=process, lease=lease, terms=policy, release=own.close)


def refuse_unmade(base: PlannedRun, status: int) -> None:
    """Make sure that a base model's run has come to its end.

    Raises:
        Leaving: if it was asked to leave.
        UserError: if it failed.
    """
    if status == Exit.PREEMPTED:
        raise Leaving
    if status != Exit.FINISHED:
        raise UserError(
            f"the base model's run ended with status {status}", base.source, "run it by itself first"
        )


@contextmanager
def own_run_dir(
    run_dir: Path, recipe: Recipe, identity: str, process: Process, *, terms: ResumePolicy
) -> Iterator[RunLease]:
    """Hold a run directory: it is this recipe's, and nobody else writes there meanwhile.

    If something goes wrong inside, ``result.json`` says so, and the same command may try again.

    Raises:
        UserError: if the directory is another's.
    """
    with ExitStack() as stack:
        checks: list[Callable[[], None]] = []

        def take() -> tuple[str | None, tuple[str, ...]]:
            refuse_links(run_dir)
            changes = changes_of_recipe(run_dir, recipe, identity, terms)
            done = None if changes else finished_before(run_dir)
            if done is None:
                make_private(run_dir)
                checks.append(stack.enter_context(own(run_dir)).check)
                recover(run_dir)
                clear_heartbeats(run_dir)
            if changes:
                (run_dir / "result.json").unlink(missing_ok=True)
            return done, changes

        done, changes = on_main(process.accelerator, take)
        if done is not None:
            if process.is_main:
                print(done, flush=True)
            yield RunLease(finished=True)
            return
        try:
            check = checks[0] if checks else lambda: None
            yield RunLease(finished=False, check=check, changes=tuple(changes))
        except BaseException as error:
            if process.is_main:
                _say_how_it_ended(run_dir, error, checks[0])
            raise


def _say_how_it_ended(run_dir: Path, error: BaseException, still_ours: Callable[[], None]) -> None:
    failure = {"status": "failed", "error": describe_error(error)}
    try:
        still_ours()
    except UserError:
        return  # what stands there is told by those who own it now
    with suppress(UserError):  # a full disk, most likely what ended it
        write_json(run_dir / "result.json", preempted_early() if isinstance(error, Leaving) else failure)

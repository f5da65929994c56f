"""Before a run: is this directory ours, and which recipes have to be run before it?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from tunesmith.checkpoint.atomic import write_json
from tunesmith.checkpoint.lock import LOCK_FILE, own
from tunesmith.checkpoint.manifest import checkpoints
from tunesmith.checkpoint.plain_file import read_plain
from tunesmith.checkpoint.run_dir import make_private, recover, refuse_links
from tunesmith.errors import Exit, UserError, describe_error
from tunesmith.prepare.base_model import PlannedRun, finished_before, read_object
from tunesmith.recipe.dump import recipe_hash, to_yaml
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.train.engine.process import Process, from_main, join_processes, on_main
from tunesmith.train.record.trackers import refuse_missing_trackers
from tunesmith.train.resume.exactness import ResumePolicy
from tunesmith.train.supervise.heartbeat import Pulse
from tunesmith.train.supervise.watchdog import clear_heartbeats, preempted_early
from tunesmith.world.signals import Leaving, StopFlag

MOST_SHOWN = 8
_KNOWN = {"result.json", "recipe.yaml", "plan.txt", "data.json", "preview.json", "slurm"}
OTHER_ROWS, OTHER_BASE = "data: other rows", "base: another model than it began with"
OTHER_CODE = "code: a metric of yours has another file"


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


def changes_of_recipe(run_dir: Path, recipe: Recipe, identity: str, terms: ResumePolicy) -> tuple[str, ...]:
    """What has changed since the run in a directory was begun, of what shapes learning.

    Args:
        run_dir: may be empty.
        recipe: of now.
        identity: its hash.
        terms: on which the command wants to go on.

    Raises:
        UserError: if there are changes and they are not accepted, or something that is no run lies there.
    """
    environment = run_dir / "environment.json"
    if not environment.exists():
        _refuse_strangers(run_dir)
        return ()
    if read_object(environment).get("recipe_hash") == identity:
        return ()
    changes = difference(run_dir, recipe)
    if not terms.accept_changes:
        listed = "".join(f"\n    {change}" for change in changes[:MOST_SHOWN])
        more = f"\n    and {len(changes) - MOST_SHOWN} more" if len(changes) > MOST_SHOWN else ""
        raise UserError(
            f"this run directory was begun with another recipe; what differs:{listed}{more}",
            str(run_dir),
            "choose another directory with `run.dir=...`, let `--fresh` choose one, or go on with "
            "these changes by `--accept-changes`; nothing was changed",
        )
    if not terms.weights_only and any(change.startswith("optimizer.name:") for change in changes):
        raise UserError(
            "another optimiser cannot go on with the state of this one",
            str(run_dir),
            "add `--weights-only`, which goes on with the weights alone",
        )
    return changes


def _refuse_strangers(run_dir: Path) -> None:
    """Make sure that a folder where no run has begun to train is ours to use.

    One that a run has held before is, whatever has been put there since: a request to a run that was still
    loading, say. Else it may hold what is written before training begins, and nothing more.

    Raises:
        UserError: if something else lies there.
    """
    if (run_dir / LOCK_FILE).exists() or not run_dir.is_dir():
        return
    unknown = sorted(path.name for path in run_dir.iterdir() if path.name not in _KNOWN)
    if unknown:
        raise UserError(
            f"the folder holds `{unknown[0]}` and is no run directory",
            str(run_dir),
            "choose another one with `run.dir=...`; nothing was changed",
        )


CHANGED = {
    "data": ("data_fingerprint", "the data has", "the rows", OTHER_ROWS),
    "code": ("code_digest", "the file of a metric has", "the file", OTHER_CODE),
    "base": ("base_digest", "the base model has", "the base model", OTHER_BASE),
}
"""Of what a run is made of: its key in ``environment.json``, and words for a change."""


def changes_since(run_dir: Path, made_of: Mapping[str, str], *, accept: bool) -> tuple[str, ...]:
    """Whether what has been learnt so far was learnt from other rows, or over another base model.

    Args:
        run_dir: of the run.
        made_of: hashes of the rows (``data``), of the base model (``base``) and of metrics' files (``code``).
        accept: whether the command wants to go on all the same.

    Raises:
        UserError: if there are checkpoints, one of these has changed since, and that is not accepted.
    """
    environment = run_dir / "environment.json"
    if not environment.exists() or not checkpoints(run_dir / "checkpoints"):
        return ()
    before, found = read_object(environment), []
    for name, digest in made_of.items():
        key, subject, things, change = CHANGED[name]
        if before.get(key, None if name == "data" else digest) == digest:
            continue  # runs of older versions say neither base nor code
        if not accept:
            raise UserError(
                f"{subject} changed since this run was begun, so it cannot be continued",
                str(run_dir),
                f"bring back {things} it began with, start over in a new directory with `--fresh`, or go on "
                "with the new ones by `--accept-changes`",
            )
        found.append(change)
    return tuple(found)


def difference(run_dir: Path, recipe: Recipe) -> tuple[str, ...]:
    """Every key that differs from the recipe that a run directory was begun with, ``key: before -> now``."""
    path = run_dir / "recipe.yaml"
    try:
        before = _flat(yaml.safe_load(read_plain(path)))
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        return ("unknown, since its recipe.yaml is gone or cannot be read",)
    now = _flat(yaml.safe_load(to_yaml(recipe)))
    changed = [key for key in {**before, **now} if before.get(key) != now.get(key) and key != "run.dir"]
    unknown = ("unknown: it was begun with another version",)
    return tuple(f"{key}: {before.get(key)} -> {now.get(key)}" for key in sorted(changed)) or unknown


def _flat(value: object, prefix: str = "") -> dict[str, object]:
    if isinstance(value, dict):
        parts = [_flat(item, f"{prefix}{key}.") for key, item in value.items()]
        return {name: item for part in parts for name, item in part.items()}
    if isinstance(value, list):
        parts = [_flat(item, f"{prefix}{index}.") for index, item in enumerate(value)]
        return {name: item for part in parts for name, item in part.items()}
    return {prefix.rstrip("."): value}

"""Whose a run directory is, and what has changed since its run was begun."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tunesmith.checkpoint.lock import LOCK_FILE
from tunesmith.checkpoint.manifest import checkpoints
from tunesmith.checkpoint.plain_file import read_plain
from tunesmith.errors import UserError
from tunesmith.prepare.base_model import read_object
from tunesmith.recipe.dump import recipe_hash, to_yaml
from tunesmith.recipe.schema.recipe import Recipe

MOST_SHOWN = 8
_KNOWN = {"result.json", "recipe.yaml", "plan.txt", "data.json", "preview.json", "drawings.json", "slurm"}
OTHER_ROWS, OTHER_BASE = "data: other rows", "base: another model than it began with"
OTHER_CODE = "code: a metric of yours has another file"


@dataclass(frozen=True, slots=True)
class ResumePolicy:
    """What the command allows.

    Attributes:
        accept_changes: go on although the recipe or the rows changed what is learnt.
        weights_only: leave the optimiser's state and the random numbers behind.
    """

    accept_changes: bool = False
    weights_only: bool = False


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


def directory_taken(recipe: Recipe) -> UserError | None:
    """Why the run directory cannot be this recipe's; ``None`` if it is free, or holds this very run."""
    try:
        changes_of_recipe(Path(str(recipe.run.dir)), recipe, recipe_hash(recipe), ResumePolicy())
    except UserError as problem:
        return problem
    return None

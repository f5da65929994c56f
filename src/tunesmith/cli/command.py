"""What a command line asks for: which recipes, from which folder, into which directories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.prepare.base_model import PlannedRun, base_models_first, finished_before
from tunesmith.prepare.check.changes import ResumePolicy
from tunesmith.recipe.load import load_with_variants
from tunesmith.recipe.schema.recipe import Recipe

FLAGS = ("--fresh", "--accept-changes", "--weights-only")


@dataclass(frozen=True, slots=True)
class Command:
    """A checked request.

    Attributes:
        recipes: to be run one after the other: the recipe, or its variants, each with the recipes in front
            that make the models it starts from.
        variants: name and run directory of each, if they are variants.
        terms: on which runs that were begun before go on.
    """

    recipes: tuple[tuple[PlannedRun, ...], ...]
    variants: tuple[tuple[str, Path], ...]
    terms: ResumePolicy


def read_command(file: str, arguments: Sequence[str]) -> Command:
    """Load and check a recipe with its overrides, which takes a moment and imports nothing heavy.

    Args:
        file: the recipe.
        arguments: ``key.path=value``, ``--fresh``, ``--accept-changes`` and ``--weights-only``, in any order.

    Raises:
        UserError: every mistake in the recipe.
    """
    path = _as_typed(file)
    overrides = [argument for argument in arguments if argument not in FLAGS]
    recipe, several = load_with_variants(path, overrides)
    base = Path(str(recipe.run.dir))
    if "--fresh" in arguments:
        fresh = free_folder(base)
        recipe = _in_folder(recipe, fresh)
        several = [(name, _in_folder(each, fresh / name)) for name, each in several]
    elif several:
        _refuse_single_run(base)
    terms = ResumePolicy(
        accept_changes="--accept-changes" in arguments, weights_only="--weights-only" in arguments
    )
    wanted = tuple(each for _, each in several) or (recipe,)
    return Command(
        recipes=tuple(
            _planned(PlannedRun(each, path.resolve().parent, file=path, overrides=tuple(overrides)), terms)
            for each in wanted
        ),
        variants=tuple((name, Path(str(each.run.dir))) for name, each in several),
        terms=terms,
    )


def _planned(asked: PlannedRun, terms: ResumePolicy) -> tuple[PlannedRun, ...]:
    """The recipe with its base models' in front; a finished run needs none, nor that they can be read."""
    if not terms.accept_changes and finished_before(Path(str(asked.recipe.run.dir))) is not None:
        return (asked,)
    return base_models_first(asked)


def free_folder(folder: Path) -> Path:
    """The folder if nothing is there, else ``folder-2``, ``folder-3`` …: the first that is free.

    Every process of a run asks before any of them can have made it: they meet first.
    """
    number, free = 1, folder
    while free.exists():
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    return free


def _refuse_single_run(folder: Path) -> None:
    """Make sure that the folder of several variants is not the run directory of one recipe."""
    found = [name for name in ("environment.json", "report.html") if (folder / name).exists()]
    if found and not (folder / "variants.json").exists():
        raise UserError(
            f"the folder holds `{found[0]}` of something else, and variants need a folder of their own",
            str(folder),
            "choose another one with `run.dir=...`, or let `--fresh` choose one; nothing was changed",
        )


def _in_folder(recipe: Recipe, folder: Path) -> Recipe:
    return recipe.model_copy(update={"run": recipe.run.model_copy(update={"dir": str(folder)})})


def _as_typed(file: str) -> Path:
    """The file relative to the working directory, where Python has made an absolute path of it."""
    path, here = Path(file), Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path

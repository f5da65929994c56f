"""``tunesmith check`` and ``tunesmith launchable``: a recipe file looked at, or made a program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.judge.schedule.planned_evaluations import Length, planned_evaluations, silent_rules
from tunesmith.plan.sanity import unusual_rate
from tunesmith.recipe.load import load_with_variants
from tunesmith.recipe.locate import located, together
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.schema.stop import binding
from tunesmith.recipe.yaml.launchable import (
    LAST_LINE,
    LAUNCH_KEY,
    LAUNCH_LINE,
    is_launchable,
    make_launchable,
)
from tunesmith.recipe.yaml.text import MAX_BYTES


def check_file(path: Path, overrides: Sequence[str]) -> tuple[str, list[str]]:
    """Check a recipe, what it names on this machine, and that Python can run it.

    Of data the first rows are read, of a model its configuration: seconds, and no weights.

    Returns:
        What to say, warnings among it, and sources that were not looked at.

    Raises:
        UserError: everything that is wrong with it.
    """
    recipe, several = load_with_variants(path, overrides)
    text = path.read_text(encoding="utf-8")
    launchable = is_launchable(text)
    if not launchable and any(line.startswith(LAUNCH_KEY) for line in text.splitlines()):
        hint = f"`tunesmith launchable {path}` mends both lines"
        what = f"Python cannot run it: the first key must be `{LAUNCH_LINE}` and the last line `{LAST_LINE}`"
        raise UserError(what, where=str(path), hint=hint)
    unseen = _look(path, overrides, [each for _, each in several] or [recipe])
    words = [f"task {recipe.task.name}", f"run directory {recipe.run.dir}"]
    words += [f"{len(several)} variants"] if several else []
    words += [] if launchable else [f"`tunesmith launchable {path}` would let `accelerate launch` run it"]
    warnings = [f"  warning: {each}" for each in (*unusual_rate(recipe), *_silent(recipe))]
    said = "\n".join([f"{path}: good ({', '.join(words)})", *warnings])
    return said, [f"not looked at: {one}" for one in unseen]


def _silent(recipe: Recipe) -> list[str]:
    """Rules that wait for more evaluations than are planned, as far as the recipe tells without its data."""
    steps = [
        rule.budget.steps for rule in binding(recipe.stop) if rule.budget is not None and rule.budget.steps
    ]
    looks = planned_evaluations(
        recipe.eval.every, Length(steps=min(steps, default=None)), baseline=recipe.eval.baseline
    )
    return [one.words for one in silent_rules(recipe.stop, looks)] if looks is not None else []


def _look(path: Path, overrides: Sequence[str], recipes: Sequence[Recipe]) -> list[str]:
    """What could not be looked at, if there is nothing wrong with the rest."""
    from tunesmith.prepare.check.inputs import check_inputs

    problems: list[UserError] = []
    unseen: list[str] = []
    for recipe in recipes:
        found, left = check_inputs(recipe, path.resolve().parent)
        problems, unseen = [*problems, *found], [*unseen, *left]
    if problems:
        raise together(located(path, overrides, problems))
    return list(dict.fromkeys(unseen))


def make_file_launchable(path: Path) -> str:
    """Add the launch lines to a file, in place; gives what to say.

    Raises:
        UserError: the file cannot be read, or cannot hold the lines.
    """
    from tunesmith.checkpoint.atomic import write_text

    try:
        if not path.is_file():
            raise UserError(
                f"there is no file `{path}`", hint="`tunesmith init` writes a recipe to start from"
            )
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read `{path}`: {error.strerror}") from error
    try:
        text = raw.decode() if len(raw) <= MAX_BYTES else ""
    except UnicodeDecodeError:
        raise UserError("the file is not UTF-8", where=str(path), hint="save it as UTF-8") from None
    if not text.strip():
        raise UserError("this is no recipe: empty, or too large", where=str(path), hint="name a recipe file")
    changed = make_launchable(text, str(path))
    if changed == text:
        return f"{path}: has both lines already"
    mode = path.stat().st_mode
    write_text(path, changed, exact=True)
    path.chmod(mode)
    return f"{path}: now a program; `accelerate launch {path}` runs it"

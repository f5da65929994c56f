"""The shipped recipes: where they are, what they are for, and which suits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from tunesmith.cli.init.data_file import DataFile
from tunesmith.cli.init.infer_task import Guess
from tunesmith.errors import UserError
from tunesmith.recipe.tasks.table import TASKS
from tunesmith.suggest import any_of, nearest


def templates() -> dict[str, Path]:
    """The shipped recipes by name: those of the installed package, or of the repository it runs from."""
    installed = Path(str(resources.files("tunesmith"))) / "recipes"
    repository = Path(__file__).resolve().parents[4] / "recipes"
    folder = installed if installed.is_dir() else repository
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def listing(shipped: Mapping[str, Path]) -> str:
    """Every shipped recipe with its first comment."""
    width = max((len(name) for name in shipped), default=0)
    lines = [f"  {name:<{width}}  {_headline(path)}" for name, path in shipped.items()]
    usage = "tunesmith init TEMPLATE [--data FILE] [--out FILE] copies one here."
    return "\n".join(["Recipes to start from:", *lines, "", usage])


def _headline(path: Path) -> str:
    """The first comment of a recipe."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = next((line for line in lines if line.startswith("#") and line.strip("# ")), "")
    return comment.lstrip("# ")


def choose_template(
    template: str | None, shipped: Mapping[str, Path], seen: DataFile | None, found: Sequence[Guess]
) -> Path:
    """The recipe that was named, or the usual one for what the data looks like.

    Raises:
        UserError: there is none.
    """
    if template is None:
        assert seen is not None
        if not found:
            raise _unreadable(seen, "any task")
        usual = shipped.get(TASKS[found[0].task].starter)
        if usual is None:
            raise UserError(
                f"no shipped recipe is for task `{found[0].task}`", hint="name one: `tunesmith init`"
            )
        return usual
    if template in shipped:
        return shipped[template]
    if Path(template).is_file():
        return Path(template)
    raise UserError(f"there is no recipe `{template}`", hint=_there_are(template, shipped, seen))


def _there_are(template: str, shipped: Mapping[str, Path], seen: DataFile | None) -> str:
    near = nearest(template.removesuffix(".yaml"), list(shipped))
    if seen is not None and near is None and template.endswith((".yaml", ".yml")):
        return f"to write the recipe there, say `tunesmith init --data {seen.path} --out {template}`"
    guess = f"did you mean `{near}`? There are" if near else "there are"
    return f"{guess} {any_of(list(shipped) or ['none'], 'and')}"


def fitting(found: Sequence[Guess], task: str, template: str, seen: DataFile) -> Guess:
    """The likeliest reading of the data for a task.

    Raises:
        UserError: the data does not do for it.
    """
    for guess in found:
        if guess.task == task:
            return guess
    raise _unreadable(seen, f"task `{task}` of recipe `{template}`", found)


def _unreadable(seen: DataFile, task: str, found: Sequence[Guess] = ()) -> UserError:
    others = list(dict.fromkeys(TASKS[guess.task].starter for guess in found))
    hint = (
        f"they do for {any_of(others)}"
        if others
        else "rename its columns, e.g. to `text` and `label`, or to `prompt` and `completion`"
    )
    columns = ", ".join(f"`{name}`" for name in seen.columns[:12])
    return UserError(f"the columns of `{seen.path}` do not do for {task}; they are {columns}", hint=hint)

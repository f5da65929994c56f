"""Code of the user's, from files beside the recipe that names it: imported, and blamed for what it raises."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from tunesmith.errors import UserError
from tunesmith.suggest import nearest_names


@contextmanager
def on_path(folder: Path) -> Iterator[None]:
    """Let imports find the files of a folder first."""
    entry = str(folder.absolute())
    sys.path.insert(0, entry)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)


def own_file(module: str, folder: Path) -> Path | None:
    """The file of a module beside the recipe; ``None`` if there is none."""
    path = folder.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def own_module(name: str, told: str, folder: Path, where: str, hint: str) -> ModuleType:
    """Import a module, of that folder if it is there; ``on_path`` must hold.

    Args:
        name: dotted.
        told: what names it in the recipe, for messages.
        folder: the recipe's.
        where: the place in the recipe.
        hint: what mends an exception in it.

    Raises:
        UserError: there is none, another one has its name, or it raises.
    """
    _refuse_shadowed(name, folder, where)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise raised_inside(error, told, where, hint) from error
        raise _no_module(name, folder, where) from error
    except Exception as error:
        raise raised_inside(error, told, where, hint) from error


def _refuse_shadowed(name: str, folder: Path, where: str) -> None:
    """A module of the same name from elsewhere must not answer in place of the recipe's own."""
    top = name.partition(".")[0]
    spec = importlib.machinery.PathFinder.find_spec(top, [str(folder.absolute())])
    loaded = sys.modules.get(top)
    if spec is None or spec.origin is None or loaded is None:
        return
    origin = getattr(loaded, "__file__", None)
    if origin is None or Path(origin).resolve() != Path(spec.origin).resolve():
        raise UserError(
            f"`{spec.origin}` cannot be imported, because another module is called `{top}` ({origin})",
            where,
            "rename the file, and the source with it",
        )


def _no_module(name: str, folder: Path, where: str) -> UserError:
    files = [path.stem for path in sorted(folder.glob("*.py"))]
    close = nearest_names(name, files, 1)
    hint = f"did you mean `{close[0]}`?" if close else f"put {name}.py into {folder}, or install it"
    return UserError(f"there is no module `{name}`", where, hint)


def raised_inside(error: BaseException, told: str, where: str, hint: str) -> UserError:
    """An exception of the user's code in one line, with the file and the line of it."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = str(Path(__file__).parent)
    own = [frame for frame in frames if "importlib" not in frame.filename and ours not in frame.filename]
    place = f" at {own[-1].filename}:{own[-1].lineno}" if own else ""
    reason = f"{type(error).__name__}: {error}".strip().removesuffix(":")
    return UserError(f"`{told}` raised {reason[:300]}{place}", where, hint)

"""Rows from a callable of the user's, for data that code makes."""

from __future__ import annotations

import importlib
import importlib.machinery
import inspect
import itertools
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunesmith.errors import UserError
from tunesmith.sources.address import PythonAddress
from tunesmith.suggest import did_you_mean, nearest_names


def call_for_rows(
    address: PythonAddress,
    arguments: Mapping[str, Any],
    folder: Path,
    *,
    limit: int | None = None,
    sampled: bool = False,
    where: str = "",
) -> Iterable[Any]:
    """Import the module with ``folder`` on the path, call the function, and gather what it yields.

    What it yields is not looked into here, only that it can be iterated.

    Args:
        address: module and function.
        arguments: keyword arguments.
        folder: the recipe's folder.
        limit: take at most so many rows, so that an endless generator ends.
        sampled: whether a sample will be drawn of all rows, which therefore have to have an end.
        where: the place in the recipe, for messages.

    Returns:
        A list, or the ``datasets.Dataset`` itself, which knows the names of its labels.

    Raises:
        UserError: no such module or function, arguments that do not fit, or an exception inside it.
    """
    with _on_path(folder):
        function = _find(address, folder, where)
        _check_arguments(function, address, arguments, where)
        try:
            rows = function(**arguments)
            if not isinstance(rows, Iterable) or isinstance(rows, str | bytes | Mapping):
                raise _no_rows(rows, address, where)
            if sampled and not hasattr(rows, "__len__"):
                raise _no_end(address, where)
            return rows if hasattr(rows, "features") else list(itertools.islice(rows, limit))
        except UserError:
            raise
        except Exception as error:
            raise _raised_inside(error, address, where) from error


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    entry = str(folder.absolute())
    sys.path.insert(0, entry)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)


def _find(address: PythonAddress, folder: Path, where: str) -> Callable[..., Any]:
    _refuse_shadowed(address, folder, where)
    try:
        module = importlib.import_module(address.module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{address.module}.".startswith(f"{error.name}."):
            raise _raised_inside(error, address, where) from error
        raise _no_module(address, folder, where) from error
    except Exception as error:
        raise _raised_inside(error, address, where) from error
    function = getattr(module, address.function, None)
    if not callable(function):
        names = [
            name for name in vars(module) if callable(getattr(module, name)) and not name.startswith("_")
        ]
        state = "has no" if function is None else "has something else than a function called"
        raise UserError(
            f"module `{address.module}` {state} `{address.function}`",
            where,
            did_you_mean(address.function, names, "functions there"),
        )
    return function  # type: ignore[no-any-return]


def _refuse_shadowed(address: PythonAddress, folder: Path, where: str) -> None:
    """A module of the same name from elsewhere must not answer in place of the recipe's own."""
    top = address.module.partition(".")[0]
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


def _no_module(address: PythonAddress, folder: Path, where: str) -> UserError:
    files = [path.stem for path in sorted(folder.glob("*.py"))]
    close = nearest_names(address.module, files, 1)
    hint = f"did you mean `{close[0]}`?" if close else f"put {address.module}.py into {folder}, or install it"
    return UserError(f"there is no module `{address.module}`", where, hint)


def _check_arguments(
    function: Callable[..., Any], address: PythonAddress, arguments: Mapping[str, Any], where: str
) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # some built-in callables tell nothing about themselves
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise UserError(
            f"the `arguments` do not fit `{address}`: {error}",
            where,
            f"its signature is {address.function}{signature}",
        ) from error


def _no_rows(value: object, address: PythonAddress, where: str) -> UserError:
    return UserError(
        f"`{address}` gave a {type(value).__name__}, not rows",
        where,
        "return or yield mappings, such as {'text': ..., 'label': ...}, or a `datasets.Dataset`",
    )


def _no_end(address: PythonAddress, where: str) -> UserError:
    return UserError(
        f"`limit` draws a sample of all rows, and `{address}` gives rows one by one, perhaps without an end",
        where,
        "write `first: N` for the first N of them, or return a list",
    )


def _raised_inside(error: BaseException, address: PythonAddress, where: str) -> UserError:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "importlib" not in frame.filename and frame.filename != __file__]
    place = f" at {own[-1].filename}:{own[-1].lineno}" if own else ""
    reason = f"{type(error).__name__}: {error}".strip().removesuffix(":")
    return UserError(f"`{address}` raised {reason[:300]}{place}", where, "mend that code, or its `arguments`")

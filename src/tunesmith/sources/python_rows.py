"""Rows from a callable of the user's, for data that code makes."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tunesmith.errors import UserError
from tunesmith.sources.address import PythonAddress
from tunesmith.sources.own_code import on_path, own_module, raised_inside
from tunesmith.suggest import did_you_mean

MEND = "mend that code, or its `arguments`"


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
    with on_path(folder):
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
            raise raised_inside(error, str(address), where, MEND) from error


def _find(address: PythonAddress, folder: Path, where: str) -> Callable[..., Any]:
    module = own_module(address.module, str(address), folder, where, MEND)
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

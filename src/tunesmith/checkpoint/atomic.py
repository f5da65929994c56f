"""The one way to write a file: whole or not at all, durable, and private.

A file is written beside its place, flushed to the disk, and moved over it; then the folder is
flushed, because a name is data of the folder. A reader therefore sees the old content or the new,
never a part, also after a power cut. A folder is filled under a temporary name, flushed and renamed.
Files get mode 0600 and folders 0700, whatever the umask.

Unfinished work bears ``.tmp-`` in its name, and a folder that is being replaced ``.old-`` (see
``names.py``); after a crash ``recover.py`` puts that in order.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.names import is_temporary, original_path, replaced_path, temporary_path
from tunesmith.errors import UserError
from tunesmith.redact import redact, redact_deep

FILE_MODE = 0o600
FOLDER_MODE = 0o700

_USERS_MATTER = {
    errno.ENOSPC: "no space is left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than the system allows (`ulimit -f`)",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "a symbolic link stands there, which is not followed",
    errno.EIO: "the disk failed",
    errno.ESTALE: "the file server has let go of it",
    errno.ENOTDIR: "something on the way is not a folder",
}


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what only the user can mend (a full disk, permissions) into a ``UserError`` about ``path``."""
    try:
        yield
    except Exception as problem:
        reason = _USERS_MATTER.get(_errno_of(problem))
        if reason is None:
            raise
        raise UserError(
            f"cannot write: {reason}",
            where=str(path),
            hint="make room or change permissions there, or choose another `run.dir`; "
            "nothing that was complete has been lost",
        ) from problem


def _errno_of(problem: Exception) -> int:
    """The system's number of what went wrong; safetensors tells it only in words, ``(os error 28)``."""
    if isinstance(problem, OSError):
        return problem.errno or 0
    told = re.search(r"\(os error (\d+)\)", str(problem))
    return int(told[1]) if told and type(problem).__name__ == "SafetensorError" else 0


def allowed() -> None:
    """The usual answer to whether something may be published: it may."""


def write_bytes(path: Path, data: bytes, *, check: Callable[[], None] = allowed) -> None:
    """Write a file whole and durably; a symbolic link at ``path`` is replaced, not followed.

    Args:
        path: of the file.
        data: its content.
        check: called when everything is on the disk, just before the file gets its name; raises if it
            must not, for instance because the run directory is another's by now.

    Raises:
        UserError: if the disk is full or may not be written; the old content is then untouched.
    """
    temporary = temporary_path(path)
    with writing(path):
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
            with open(descriptor, "wb") as file:
                os.fchmod(descriptor, FILE_MODE)
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            check()
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_text(path: Path, text: str, *, exact: bool = False, check: Callable[[], None] = allowed) -> None:
    """Write UTF-8 text whole and durably; see ``write_bytes``.

    Args:
        path: of the file.
        text: its content; secrets in it are blotted out.
        exact: write it as it is: a file of the user's own, not one that tells about a run.
        check: as in ``write_bytes``.
    """
    write_bytes(path, (text if exact else redact(text)).encode("utf-8"), check=check)


def write_json(path: Path, value: Any, *, check: Callable[[], None] = allowed) -> None:
    """Write JSON whole and durably, indented; numbers that are not finite become ``null``.

    Secrets are blotted out of every text in it, before signs are escaped.
    """
    plain = finite(redact_deep(value))
    write_text(path, json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n", check=check)


def finite(value: Any) -> Any:
    """``value`` with every float that is not finite as ``None``, since JSON has no word for them."""
    if isinstance(value, float):
        return value if -float("inf") < value < float("inf") else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def sync_folder(folder: Path) -> None:
    """Flush a folder, so that the names in it survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as problem:
        if problem.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems have no such thing
            raise
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder and its missing parents, each with mode 0700; existing ones stay as they are."""
    with writing(path):
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=FOLDER_MODE)


def staging_folder(final: Path) -> Path:
    """Make and return a temporary folder beside ``final``, to be filled and given to ``publish_folder``."""
    make_folder(final.parent)
    temporary = temporary_path(final)
    make_folder(temporary)
    return temporary


def publish_folder(
    temporary: Path, final: Path, *, replace: bool = False, check: Callable[[], None] = allowed
) -> None:
    """Give a finished folder its name, after everything in it is private and on the disk.

    Args:
        temporary: a folder beside ``final``, whose files are all closed.
        final: its name from now on.
        replace: whether a folder of that name may stand there already. It is then moved aside, and
            removed after the new one is in place; a crash between the two moves is mended by ``recover``.
        check: as in ``write_bytes``.

    Raises:
        FileExistsError: if ``final`` exists and may not be replaced.
        UserError: if the disk is full or may not be written.
    """
    with writing(final):
        _sync_tree(temporary)
        check()
        if not final.exists():
            temporary.rename(final)
            sync_folder(final.parent)
            return
        if not replace:
            raise FileExistsError(errno.EEXIST, "a finished folder is never overwritten", str(final))
        for forgotten in [path for path in final.parent.iterdir() if original_path(path) == final]:
            remove_folder(forgotten)  # an earlier removal failed; two would leave `recover` a choice
        replaced = replaced_path(final)
        final.rename(replaced)
        try:
            temporary.rename(final)
        except OSError:
            replaced.rename(final)
            raise
        sync_folder(final.parent)
        remove_folder(replaced)


def remove_folder(folder: Path) -> None:
    """Remove a folder so that a crash in the middle leaves rubbish, not half a folder of that name."""
    doomed = folder if is_temporary(folder) else temporary_path(folder)
    if doomed != folder:
        folder.rename(doomed)
    shutil.rmtree(doomed)


def _sync_tree(folder: Path) -> None:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            if path.is_symlink():
                continue
            path.chmod(FILE_MODE)
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        os.chmod(root, FOLDER_MODE)
        sync_folder(Path(root))


def link_or_copy(source: str, target: str) -> str:
    """Give a file a second name, or a copy where the file system cannot; gives the target."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target

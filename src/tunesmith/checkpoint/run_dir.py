"""A run directory is its owner's alone, and nothing written into it lands elsewhere."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from tunesmith.checkpoint.atomic import FOLDER_MODE, make_folder, sync_folder, writing
from tunesmith.checkpoint.names import is_temporary, original_path, under_way
from tunesmith.errors import UserError

TRACKERS = "trackers"
"""The folder in a run directory for the files of trackers, a folder each."""


def refuse_links(run_dir: Path) -> None:
    """Make sure that nothing but files and folders stands in a run directory; it may be a link itself.

    Trackers, which keep their files in folders of their own there, may have links among those.

    Raises:
        UserError: if there is a link, where files would be written and read elsewhere; or a pipe, a socket or
            a device, which would hold the run for ever.
    """
    path, mode = next(_odd(run_dir), (None, 0))
    if path is not None and stat.S_ISLNK(mode):
        raise UserError(
            "a symbolic link stands in the run directory, and files would be written where it leads",
            str(path),
            "remove it; `run.dir` itself may be a link to a larger disk",
        )
    if path is not None:
        raise UserError(
            "a pipe, a socket or a device stands in the run directory, and a run would wait for it",
            str(path),
            "remove it, or choose another `run.dir`",
        )


def make_private(run_dir: Path) -> None:
    """Make a run directory with mode 0700; an empty one becomes private, a used one stays as it is."""
    make_folder(run_dir)
    with writing(run_dir):
        if not any(run_dir.iterdir()):
            run_dir.chmod(FOLDER_MODE)


def _odd(run_dir: Path) -> Iterator[tuple[Path, int]]:
    """What is neither a file nor a folder, and its mode; a tracker's own links are left out."""
    for root, folders, files in os.walk(run_dir):
        of_a_tracker = (run_dir / TRACKERS) in Path(root).parents
        for name in (*folders, *files):
            path = Path(root, name)
            try:
                mode = path.lstat().st_mode
            except OSError:
                continue  # gone since
            if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
                continue
            if not (of_a_tracker and stat.S_ISLNK(mode) and _stays(path, run_dir)):
                yield path, mode


def _stays(link: Path, run_dir: Path) -> bool:
    """Whether a tracker's own link leads to its own files, as W&B's to its newest run does, or to its log.

    One that leads nowhere does no harm: it was made where the run directory had another name.
    """
    try:
        target = link.resolve()
        if (
            link.suffix == ".log"
            and link.is_relative_to(run_dir / TRACKERS / "wandb")
            and not target.is_dir()
        ):
            return True  # W&B keeps the log of its own process in the user's cache
        return target.is_relative_to((run_dir / TRACKERS).resolve()) or not target.exists()
    except (OSError, RuntimeError):
        return False


def recover(run_dir: Path) -> list[str]:
    """Put a run directory in order after a crash; only its owner may (see ``lock.py``).

    Unfinished files and folders of tunesmith's own are removed. A folder that was moved aside to be
    replaced goes back to its place if nothing has come there.

    Returns:
        One sentence for each thing done, for the log.
    """
    done = []
    for path in list(under_way(run_dir)):
        final = original_path(path)
        if final is None or not path.is_dir() or path.is_symlink():
            continue  # one that was being removed may be half a folder
        if not final.exists():
            path.rename(final)
            sync_folder(final.parent)
            done.append(f"put back {final.relative_to(run_dir)}")
        else:
            shutil.rmtree(path)
            done.append(f"removed the replaced {path.relative_to(run_dir)}")
    for rest in filter(is_temporary, under_way(run_dir)):
        if rest.is_dir() and not rest.is_symlink():
            shutil.rmtree(rest)
        else:
            rest.unlink()
        done.append(f"removed the unfinished {rest.relative_to(run_dir)}")
    return done

"""What a crash left behind in a run directory, put in order by its next owner."""

from __future__ import annotations

import shutil
from pathlib import Path

from tunesmith.checkpoint.atomic import REPLACED, TEMPORARY, sync_folder


def recover(run_dir: Path) -> list[str]:
    """Put a run directory in order after a crash; only its owner may (see ``lock.py``).

    Unfinished files and folders are removed. A folder that was moved aside to be replaced goes back
    to its place if nothing has come there.

    Returns:
        One sentence for each thing done, for the log.
    """
    done = []
    for aside in sorted(run_dir.rglob(f"*{REPLACED}*")):
        if TEMPORARY in aside.name:
            continue  # it was being removed, and may be half a folder
        final = aside.with_name(aside.name.rpartition(REPLACED)[0])
        if aside.is_dir() and final.name and not final.exists():
            aside.rename(final)
            sync_folder(final.parent)
            done.append(f"put back {final.relative_to(run_dir)}")
        elif aside.is_dir():
            shutil.rmtree(aside)
            done.append(f"removed the replaced {aside.relative_to(run_dir)}")
    for rest in sorted(run_dir.rglob(f"*{TEMPORARY}*")):
        if not rest.exists() and not rest.is_symlink():
            continue  # it went with its folder
        if rest.is_dir() and not rest.is_symlink():
            shutil.rmtree(rest)
        else:
            rest.unlink()
        done.append(f"removed the unfinished {rest.relative_to(run_dir)}")
    return done

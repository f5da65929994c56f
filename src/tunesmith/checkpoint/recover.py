"""What a crash left behind in a run directory, put in order by its next owner."""

from __future__ import annotations

import shutil
from pathlib import Path

from tunesmith.checkpoint.atomic import sync_folder
from tunesmith.checkpoint.names import is_temporary, put_aside, under_way


def recover(run_dir: Path) -> list[str]:
    """Put a run directory in order after a crash; only its owner may (see ``lock.py``).

    Unfinished files and folders of tunesmith's own are removed. A folder that was moved aside to be
    replaced goes back to its place if nothing has come there.

    Returns:
        One sentence for each thing done, for the log.
    """
    done = []
    for path in list(under_way(run_dir)):
        final = put_aside(path)
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

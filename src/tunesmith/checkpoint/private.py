"""A run directory is its owner's alone, and nothing written into it lands elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tunesmith.checkpoint.atomic import FOLDER_MODE, make_folder, writing
from tunesmith.errors import UserError


def refuse_links(run_dir: Path) -> None:
    """Make sure that no symbolic link stands in a run directory; it may be one itself.

    Raises:
        UserError: if there is one: files would be written, and read, where it leads.
    """
    link = next(_links(run_dir), None)
    if link is not None:
        raise UserError(
            "a symbolic link stands in the run directory, and files would be written where it leads",
            str(link),
            "remove it; `run.dir` itself may be a link to a larger disk",
        )


def make_private(run_dir: Path) -> None:
    """Make a run directory with mode 0700; an empty one becomes private, a used one stays as it is."""
    make_folder(run_dir)
    with writing(run_dir):
        if not any(run_dir.iterdir()):
            run_dir.chmod(FOLDER_MODE)


def _links(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if (path := Path(root, name)).is_symlink():
                yield path

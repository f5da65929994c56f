"""Where modules are imported from: not from the folder that happens to be a script's, or the working one.

Python puts that folder first, and a file there that is called ``evaluate.py`` or ``queue.py`` would take the
place of a library's. Code that a recipe names is looked for in the recipe's folder, and only for that.
"""

from __future__ import annotations

import os
import sys


def leave_script_folder(*files: str) -> None:
    """Take away what Python put first on the path for a script or for ``-m``.

    Does nothing for ``python -P``, or if tunesmith itself is imported from there.

    Args:
        files: the script.
    """
    if sys.flags.safe_path or not sys.path:
        return
    first = os.path.realpath(sys.path[0] or os.curdir)
    own = os.path.realpath(os.path.join(os.path.dirname(__file__), os.pardir, os.pardir))
    folders = {os.path.realpath(os.path.dirname(os.path.abspath(file))) for file in files}
    if first in folders | {os.path.realpath(os.curdir)} and first != own:
        del sys.path[0]

"""Libraries that announce things while they are imported, before a run can speak to them."""

from __future__ import annotations

import logging
import os
import sys


def quiet_imports() -> None:
    """Turn off what nobody can act on; to be called before anything heavy is imported.

    bitsandbytes, which adapters import wherever it is installed, warns of a kernel that only quantised
    weights would use. And a bar that is drawn over itself on a terminal fills a file, line after line.
    """
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    if sys.stderr is None or not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")  # read when tqdm is imported

"""A word about a model that does not end the run: from the first process, once."""

from __future__ import annotations

import os
import sys
from functools import cache

from tunesmith.world.environment import read_world


@cache
def notice(text: str) -> None:
    """Print a sentence to stderr, if this process is the one that speaks and has not said it yet."""
    if read_world(os.environ).is_main:
        print(f"note: {text}", file=sys.stderr, flush=True)

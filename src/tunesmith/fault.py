"""The one hook for tests: at a named point a fault strikes, if a test's environment says so.

``TUNESMITH_FAULT`` holds orders, parted by semicolons; each is a name, then ``key=value`` pairs:

    save-write rank=1 at=2 do=SIGKILL; forward at=* do=sleep:0.5

``do``
    ``raise``, a signal that the process sends itself, ``sleep:SECONDS``, or the name of a system error, such
    as ``ENOSPC``, which is raised.
``at``
    which time the point is reached, from 1, by default the first; ``*`` is every time.
``rank``
    of the process; without it, every one.
``mark``
    a file that is made just before, so that a test knows.

Unset, a call only looks whether the variable is there.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections import Counter
from pathlib import Path

VARIABLE = "TUNESMITH_FAULT"
_reached: Counter[str] = Counter()


class InjectedFault(RuntimeError):
    """What ``do=raise`` raises."""


def fault(name: str) -> None:
    """The point ``name`` is reached: do what a test ordered for it, usually nothing.

    Raises:
        InjectedFault: if so ordered.
        OSError: if a system error was ordered.
    """
    if VARIABLE in os.environ:
        _obey(name, os.environ[VARIABLE], os.environ.get("RANK", "0"))


def _obey(name: str, orders: str, rank: str) -> None:
    _reached[name] += 1
    for order in orders.split(";"):
        point, *pairs = order.split()
        wanted = dict(pair.split("=", 1) for pair in pairs)
        here = wanted.get("at", "1") in ("*", str(_reached[name]))
        if point == name and here and wanted.get("rank", rank) == rank:
            if "mark" in wanted:
                Path(wanted["mark"]).touch()
            _strike(name, wanted["do"])


def _strike(name: str, action: str) -> None:
    if action == "raise":
        raise InjectedFault(f"a test ordered a fault at `{name}`")
    if action.startswith("sleep:"):
        end = time.monotonic() + float(action.removeprefix("sleep:"))
        while (left := end - time.monotonic()) > 0:  # a signal's handler cuts a sleep short
            time.sleep(left)
    elif action.startswith("SIG"):
        os.kill(os.getpid(), signal.Signals[action])
    else:
        number = getattr(errno, action)
        raise OSError(number, os.strerror(number), name)

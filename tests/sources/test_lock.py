"""Locks that real processes hold."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tunesmith.errors import UserError
from tunesmith.sources.lock import locked

HOLD = (
    "import sys, time\nfrom pathlib import Path\nfrom tunesmith.sources.lock import locked\n"
    "with locked(Path(sys.argv[1]), 'holding'):\n    print('held', flush=True)\n    time.sleep(60)\n"
)


def test_the_lock_is_waited_for_named_and_freed_by_a_kill(tmp_path) -> None:
    path = tmp_path / "some.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"pid {holder.pid}"), locked(path, "testing", patience=0.2):
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    with locked(path, "testing", patience=0.2):
        pass

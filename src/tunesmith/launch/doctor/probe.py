"""A check in a process of its own, so that a file server or a driver that hangs cannot hang the doctor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tunesmith.launch.doctor.finding import DoctorFinding


def run_probe(name: str, order: Mapping[str, Any], *, seconds: float, remedy: str) -> list[DoctorFinding]:
    """Let a check look at something in a process of its own, which is given up after a while.

    Args:
        name: ``disk`` or ``devices``; also the subject of what is found when it does not answer.
        order: what the check is told, as JSON.
        seconds: to wait.
        remedy: when there is no answer.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "tunesmith.launch.doctor.probe_child", name, json.dumps(order)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _give_up(process)
        return [DoctorFinding(name, "problem", f"no answer within {seconds:.0f} s", remedy)]
    try:
        return [DoctorFinding(**found) for found in json.loads(out.strip().splitlines()[-1])]
    except (ValueError, IndexError, TypeError):
        said = (err.strip().splitlines() or [f"exit status {process.returncode}"])[-1]
        return [DoctorFinding(name, "problem", f"the check could not be carried out: {said[:300]}", remedy)]


def _give_up(process: subprocess.Popen[str]) -> None:
    """Kill, and wait no longer than a moment: a process that a dead file server holds does not die."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(1)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        pass

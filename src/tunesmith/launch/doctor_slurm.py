"""The first node of an allocation, asked of SLURM."""

from __future__ import annotations

import re
import subprocess


def first_address(nodes: str) -> str:
    """Address of the first node of a list such as ``n[1-4]``; a node's name need not be a host's."""
    names = _scontrol("show", "hostnames", nodes).split()
    first = names[0] if names else nodes
    told = re.search(r"NodeAddr=(\S+)", _scontrol("-o", "show", "node", first))
    return told[1] if told else first


def _scontrol(*words: str) -> str:
    try:
        done = subprocess.run(["scontrol", *words], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout

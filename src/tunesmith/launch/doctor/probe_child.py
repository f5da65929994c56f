"""One check in a process of its own, which `probe.py` starts and gives up after a while."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tunesmith.launch.doctor.finding import DoctorFinding
from tunesmith.launch.doctor.requirements import Requirements


def main(name: str, order: Mapping[str, Any]) -> list[DoctorFinding]:
    """Carry out one check; the process's whole work."""
    if name == "disk":
        from tunesmith.launch.doctor.disk import look_at_disk

        return look_at_disk(Path(order["folder"]), needed_bytes=order["needed_bytes"])
    from tunesmith.launch.doctor.devices import look_at_devices

    return look_at_devices(Requirements(**order))


if __name__ == "__main__":
    print(json.dumps([asdict(found) for found in main(sys.argv[1], json.loads(sys.argv[2]))]))

"""``tunesmith doctor``: everything that can be known to be wrong before a run, each with its remedy."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tunesmith.launch.doctor.compiler import check_compiler
from tunesmith.launch.doctor.devices import check_devices
from tunesmith.launch.doctor.disk import check_disk
from tunesmith.launch.doctor.finding import DoctorFinding
from tunesmith.launch.doctor.folders import check_caches, check_shared
from tunesmith.launch.doctor.limits import check_limits
from tunesmith.launch.doctor.network.placement import Placement, machines_reachable, placement_of
from tunesmith.launch.doctor.network.start import check_processes
from tunesmith.launch.doctor.requirements import Requirements, requirements_of
from tunesmith.launch.doctor.versions import check_versions
from tunesmith.launch.local.hosts import Host
from tunesmith.launch.profiles.profile import Profile

Check = Callable[[], list[DoctorFinding]]
_ELSEWHERE = DoctorFinding("devices", "unknown", "not looked at: this machine is not one of the profile's")
_DISK_SECONDS, _DEVICE_SECONDS, _MEETING_SECONDS = 10.0, 15.0, 15.0


def examine(
    profile: Profile | None,
    run_dir: Path,
    *,
    quantized: bool = False,
    hosts: Sequence[Host] = (),
    environ: Mapping[str, str] = os.environ,
) -> list[DoctorFinding]:
    """Look at this machine, and within an allocation or with hosts at the others, as a run would use them.

    The profile's processes are really started. Takes less than 20 s: what waits, waits at the same time,
    and each check has an end.

    Args:
        profile: where the run would be; None for a plain ``accelerate launch``.
        run_dir: of the run; need not exist.
        quantized: whether the recipe's frozen weights have 4 or 8 bits.
        hosts: of a hostfile, in order.
        environ: tells of an allocation.
    """
    needs = requirements_of(profile, quantized=quantized)
    here = machines_reachable(needs, hosts, environ)
    checks = [
        *_everywhere(needs, run_dir, environ),
        lambda: check_devices(needs, seconds=_DEVICE_SECONDS) if here else [_ELSEWHERE],
        *([lambda: check_disk(disk, seconds=_DISK_SECONDS)] if here and (disk := needs.disk) else []),
        lambda: check_limits(needs, environ=environ),
        lambda: _processes(placement_of(needs, run_dir, hosts=hosts, environ=environ)),
    ]
    return _at_once(checks)


def preflight(profile: Profile, run_dir: Path, *, quantized: bool = False) -> list[DoctorFinding]:
    """What can be known before a job is handed to a scheduler, on a machine that will not run it itself.

    Versions, compiler, disk and caches are looked at, since the nodes see the same folders; devices and the
    network are the nodes' own, and ``tunesmith doctor`` within the allocation looks at them.
    """
    needs, environ = requirements_of(profile, quantized=quantized), os.environ
    return _at_once([*_everywhere(needs, run_dir, environ), lambda: check_shared(run_dir)])


def _everywhere(needs: Requirements, run_dir: Path, environ: Mapping[str, str]) -> list[Check]:
    return [
        lambda: check_versions(needs),
        lambda: check_compiler(needs, environ),
        lambda: check_disk(run_dir, seconds=_DISK_SECONDS),
        lambda: check_caches(needs, environ),
    ]


def _processes(places: Placement) -> list[DoctorFinding]:
    if places.order is None:
        return list(places.findings)
    try:
        return check_processes(places.order, places.commands, seconds=_MEETING_SECONDS)
    finally:
        if places.token is not None:
            places.token.unlink(missing_ok=True)


def _at_once(checks: Sequence[Check]) -> list[DoctorFinding]:
    with ThreadPoolExecutor(max_workers=len(checks)) as pool:
        done = [pool.submit(check) for check in checks]
        return [found for each in done for found in each.result()]

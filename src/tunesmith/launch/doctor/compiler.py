"""Whether DeepSpeed can compile the ops that it builds when they are first used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from tunesmith.launch.doctor.finding import DoctorFinding
from tunesmith.launch.doctor.requirements import Requirements

_PROGRAM = b"#include <Python.h>\n#include <atomic>\nint main() { return 0; }\n"
_SECONDS = 10


def check_compiler(needs: Requirements, environ: Mapping[str, str] = os.environ) -> list[DoctorFinding]:
    """A C++ compiler that finds Python's headers, ninja, and for GPUs nvcc; only where DeepSpeed is used."""
    if not needs.deepspeed:
        return []
    findings = [_compiler(environ), _ninja(environ)]
    return [*findings, _nvcc(environ)] if needs.device == "gpu" and needs.offload else findings


def _compiler(environ: Mapping[str, str]) -> DoctorFinding:
    name = environ.get("CXX") or "c++"
    path = environ.get("PATH", os.defpath)
    found = shutil.which(name, path=path) or shutil.which("g++", path=path)
    if found is None:
        return DoctorFinding(
            "compiler",
            "problem",
            f"there is no C++ compiler (`{name}`), and DeepSpeed compiles an op on first use",
            "apt-get install g++ (or `module load gcc`, or set CXX)",
        )
    include = sysconfig.get_path("include")
    if not Path(include, "Python.h").exists():
        what = f"{found} is there, but Python's headers are not ({include}/Python.h)"
        return DoctorFinding("compiler", "problem", what, "apt-get install python3-dev")
    return _try(found, include, environ)


def _try(compiler: str, include: str, environ: Mapping[str, str]) -> DoctorFinding:
    command = [compiler, "-std=c++17", "-x", "c++", "-fsyntax-only", "-I", include, "-"]
    try:
        done = subprocess.run(
            command, input=_PROGRAM, capture_output=True, timeout=_SECONDS, env=dict(environ), check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return DoctorFinding(
            "compiler", "problem", f"{compiler} does not run: {error}", "install another compiler"
        )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        remedy = "apt-get install --reinstall g++ libc6-dev, or set CXX to another compiler"
        return DoctorFinding(
            "compiler", "problem", f"{compiler} cannot compile C++17: {said[0][:200]}", remedy
        )
    return DoctorFinding("compiler", "ok", f"{compiler} compiles C++17 with Python's headers")


def _ninja(environ: Mapping[str, str]) -> DoctorFinding:
    if shutil.which("ninja", path=environ.get("PATH", os.defpath)) is not None:
        return DoctorFinding("ninja", "ok", "ninja is on PATH")
    beside = Path(sys.executable).with_name("ninja")
    if beside.exists():
        return DoctorFinding(
            "ninja",
            "warning",
            f"ninja is installed ({beside}), but not on PATH, where the build of DeepSpeed's op looks for it",
            f"export PATH={beside.parent}:$PATH, or activate the environment",
        )
    return DoctorFinding(
        "ninja", "problem", "ninja is missing, and DeepSpeed builds its op with it", "pip install ninja"
    )


def _nvcc(environ: Mapping[str, str]) -> DoctorFinding:
    home = environ.get("CUDA_HOME") or environ.get("CUDA_PATH")
    found = shutil.which("nvcc", path=environ.get("PATH", os.defpath))
    if found is None and home is not None and Path(home, "bin", "nvcc").exists():
        found = str(Path(home, "bin", "nvcc"))
    if found is None:
        what = "nvcc is missing; DeepSpeed asks for it before it compiles the optimizer that offloading uses"
        return DoctorFinding(
            "nvcc", "problem", what, "install the CUDA toolkit of torch's CUDA version, or `module load cuda`"
        )
    return DoctorFinding("nvcc", "ok", found)

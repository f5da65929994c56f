"""The whole: every check at once, the text, the exit status, and the time."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tunesmith.launch.doctor.examine import preflight
from tunesmith.launch.doctor.finding import DoctorFinding, findings_text, worst
from tunesmith.launch.doctor.requirements import requirements_of
from tunesmith.launch.profiles.profile import profile_names, read_profile

ROOT = Path(__file__).parents[3]
PROGRAM = [sys.executable, "-c", "from tunesmith.cli.main import run; run()", "doctor"]


def doctor(*arguments: str, folder: Path = ROOT, **environ: str) -> tuple[int, str, float]:
    start = time.monotonic()
    done = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=folder,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr, time.monotonic() - start


def test_this_machine_is_well_for_two_processes_in_under_20_seconds() -> None:
    status, text, elapsed = doctor("recipes/smoke/causal-lm.yaml", "--on", "cpu_2proc")
    assert status == 0, text
    for subject in ("versions", "disk", "space", "file clock", "devices", "processes", "memory", "caches"):
        assert f" {subject} " in text, text
    assert "2 processes met" in text
    assert elapsed < 20


def test_without_a_compiler_deepspeed_is_a_problem_and_status_2(tmp_path: Path) -> None:
    status, text, elapsed = doctor("--on", "cpu_zero3", PATH=str(tmp_path))
    assert status == 2, text
    assert text.startswith("problem"), text
    assert "apt-get install g++" in text
    assert elapsed < 20


def test_a_profile_for_gpus_names_what_is_missing() -> None:
    status, text, _ = doctor("--on", "node_zero3")
    assert status == 2
    assert "the profile wants 8 GPUs on each machine, and there are 0" in " ".join(text.split())


def test_an_unknown_profile_is_one_message() -> None:
    status, text, elapsed = doctor("--on", "nod")
    assert status == 2
    assert "did you mean `node`?" in text
    assert elapsed < 10


@pytest.mark.parametrize("name", profile_names())
def test_the_preflight_of_every_profile_takes_seconds(name: str, tmp_path: Path) -> None:
    start = time.monotonic()
    findings = preflight(read_profile(name), tmp_path / "run")
    assert time.monotonic() - start < 20
    subjects = {found.subject for found in findings}
    assert {"versions", "disk", "space", "caches", "shared folder"} <= subjects
    assert ("compiler" in subjects) == requirements_of(read_profile(name)).deepspeed
    assert all(found.remedy for found in findings if found.state != "ok")
    assert list(tmp_path.iterdir()) == []


FINDINGS = [
    DoctorFinding("disk", "ok", "fast"),
    DoctorFinding("compiler", "problem", "there is none " * 12, "install one"),
    DoctorFinding("memory", "warning", "little", "buy more"),
    DoctorFinding("clocks", "unknown", "not asked"),
]


def test_the_worst_stand_first_with_their_remedies_below() -> None:
    text = findings_text(FINDINGS)
    lines = text.splitlines()
    states = [line.split()[0] for line in lines if line and not line.startswith(" ")]
    assert states == ["problem", "warning", "unknown", "ok", "1"]
    assert lines[-1] == "1 problem, 1 warning, 1 unknown, 1 ok"
    assert lines[lines.index(next(line for line in lines if "buy more" in line)) - 1].startswith("warning")
    assert max(map(len, lines)) <= 100
    # what was seen starts in one column
    columns = {line.index(word) for line, word in zip([lines[0]], ["there"], strict=True)}
    columns |= {next(line for line in lines if word in line).index(word) for word in ("little", "fast")}
    assert len(columns) == 1


@pytest.mark.parametrize(("count", "state"), [(0, "ok"), (1, "ok"), (2, "problem"), (4, "problem")])
def test_worst(count: int, state: str) -> None:
    assert worst(FINDINGS[:count]) == state

"""A compiler that is there, is missing, or does not work: real files on a real PATH."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tunesmith.launch.doctor.compiler import check_compiler
from tunesmith.launch.doctor.requirements import Requirements

NEEDS = Requirements(deepspeed=True, device="cpu", processes=2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "bin"
    made.mkdir()
    return made


def program(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


def states(environ: dict[str, str]) -> dict[str, tuple[str, str, str]]:
    return {each.subject: (each.state, each.what, each.remedy) for each in check_compiler(NEEDS, environ)}


def test_without_deepspeed_nobody_asks_for_a_compiler(folder: Path) -> None:
    assert check_compiler(Requirements(), {"PATH": str(folder)}) == []


def test_an_empty_path_has_no_compiler(folder: Path) -> None:
    found = states({"PATH": str(folder)})
    assert found["compiler"][0] == "problem"
    assert "apt-get install g++" in found["compiler"][2]
    # ninja may stand beside this Python, which helps whoever puts that folder on PATH.
    assert found["ninja"][0] == ("warning" if Path(sys.executable).with_name("ninja").exists() else "problem")
    assert found["ninja"][2]


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
def test_a_real_compiler_compiles() -> None:
    assert states(dict(os.environ))["compiler"][0] == "ok"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("echo 'c++: fatal error: cannot execute cc1plus' >&2; exit 1", "cannot execute cc1plus"),
        ("exit 3", "no message"),
    ],
)
def test_a_compiler_that_does_not_compile_is_found_out(folder: Path, body: str, words: str) -> None:
    program(folder, "c++", body)
    state, what, remedy = states({"PATH": f"{folder}:/usr/bin:/bin"})["compiler"]
    assert (state, words in what) == ("problem", True), what
    assert "CXX" in remedy


def test_cxx_is_respected(folder: Path) -> None:
    program(folder, "mine", "exit 1")
    state, what, _ = states({"PATH": f"{folder}:{os.environ['PATH']}", "CXX": "mine"})["compiler"]
    assert state == "problem"
    assert "mine" in what


def test_offloading_on_gpus_wants_nvcc(folder: Path) -> None:
    needs = Requirements(deepspeed=True, device="gpu", offload=True)
    found = {each.subject: each.state for each in check_compiler(needs, {"PATH": str(folder)})}
    assert found["nvcc"] == "problem"
    program(folder, "nvcc", "exit 0")
    found = {each.subject: each.state for each in check_compiler(needs, {"PATH": str(folder)})}
    assert found["nvcc"] == "ok"

"""The locks hold what constraints.txt holds, every file with its SHA-256, and nothing else."""

from __future__ import annotations

import re

import pytest

FILES = ("build.txt", "packages.txt", "last.txt")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9][\w.-]*)==([^\s\\]+)", text, re.MULTILINE)
    return {normal(name): version for name, version in found}


@pytest.fixture(scope="module")
def locks(root) -> dict[str, str]:
    return {name: (root / "lock" / name).read_text() for name in FILES}


def test_the_same_versions_as_the_constraints(root, locks) -> None:
    locked = [item for text in locks.values() for item in pins(text).items()]
    assert len(locked) == len(dict(locked)), "a package stands in two files"
    wanted = pins((root / "constraints.txt").read_text())
    difference = {name for name in {*dict(locked), *wanted} if dict(locked).get(name) != wanted.get(name)}
    assert not difference, f"run lock/renew.py for {sorted(difference)}"


def test_every_package_has_hashes_and_no_line_is_anything_else(locks) -> None:
    for name, text in locks.items():
        blocks = re.split(r"\n(?=\w)", text.strip())
        for block in blocks:
            pin, *hashes = [line.strip().removesuffix(" \\") for line in block.splitlines()]
            assert re.fullmatch(r"[\w.-]+==[0-9][\w.]*", pin), f"{name}: {pin}"
            assert hashes, f"{name}: {pin} has no hash"
            assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in hashes), f"{name}: {pin}"


def test_the_makefile_installs_them_with_hashes(root) -> None:
    recipe = re.search(r"^env-locked:.*\n((?:\t.*\n)+)", (root / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    installs = [line for line in recipe[1].splitlines() if " install " in line]
    for name in FILES:
        (line,) = [line for line in installs if f"lock/{name}" in line]
        assert "--require-hashes --no-deps" in line

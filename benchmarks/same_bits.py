"""Shows that a change moved no bit: runs the smoke recipes on a commit and on the working tree.

    make same-bits              # the last commit against the working tree
    make same-bits BASE=v0.1.0  # another one

The loss of every step is compared as hexadecimal text, so that a difference in the last bit shows.
Status 0: all the same; 1: something differs; 2: a run failed or there is nothing to compare.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SMOKE = Path("recipes") / "smoke"


@dataclass(frozen=True)
class Step:
    """One training step: the samples it saw and its loss, exactly."""

    step: int
    samples: str
    loss_hex: str


class RunFailedError(Exception):
    """A smoke recipe did not finish; the message holds the end of what it said."""


def read_steps(metrics: Path) -> list[Step]:
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    train = [line for line in lines if line["kind"] == "train"]
    return [Step(line["step"], line.get("samples", ""), line["loss_hex"]) for line in train]


def difference(before: list[Step], after: list[Step]) -> str | None:
    """The first thing in which two runs differ, in words; None if they are the same to the bit."""
    for old, new in zip(before, after, strict=False):
        if old.step != new.step:
            return f"step {old.step} became step {new.step}"
        if old.samples != new.samples:
            return f"step {old.step} saw other samples"
        if old.loss_hex != new.loss_hex:
            return f"loss at step {old.step}: {old.loss_hex} became {new.loss_hex}"
    return None if len(before) == len(after) else f"{len(before)} steps became {len(after)}"


def run_recipe(tree: Path, recipe: str, run_dir: Path) -> list[Step]:
    """Run one recipe with the code of one tree.

    Raises:
        RunFailedError: it ended with another status than 0.
    """
    environ = os.environ | {"PYTHONPATH": str(tree / "src"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(tree / SMOKE / recipe), f"run.dir={run_dir}"]
    done = subprocess.run(command, cwd=tree, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise RunFailedError(f"{recipe} in {tree} ended with status {done.returncode}:\n{said}")
    return read_steps(run_dir / "metrics.jsonl")


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A temporary tree of one commit."""
    with tempfile.TemporaryDirectory(prefix="same-bits-") as folder:
        tree = Path(folder) / "tree"
        git("worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            git("worktree", "remove", "--force", str(tree))


def git(*arguments: str) -> None:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RunFailedError(f"git {' '.join(arguments)}: {done.stderr.strip()}")


def recipes_of(*trees: Path) -> list[str]:
    """The smoke recipes that all trees have."""
    return sorted(
        set.intersection(*({path.name for path in (tree / SMOKE).glob("*.yaml")} for tree in trees))
    )


def compare(base: Path, changed: Path) -> bool:
    """Run and compare every recipe that both trees have; whether all are the same."""
    recipes = recipes_of(base, changed)
    if not recipes:
        raise RunFailedError(f"no recipe in {SMOKE} is in both trees")
    same = True
    for recipe in recipes:
        with tempfile.TemporaryDirectory(prefix="same-bits-run-") as folder:
            before = run_recipe(base, recipe, Path(folder) / "before")
            after = run_recipe(changed, recipe, Path(folder) / "after")
        found = difference(before, after)
        print(f"{recipe}: {found or f'{len(after)} steps, the same bits'}", flush=True)
        same = same and found is None and bool(after)
    return same


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the smoke recipes' losses bit by bit.")
    parser.add_argument("--base", default="HEAD", help="the commit to compare the working tree with")
    arguments = parser.parse_args()
    try:
        with checked_out(arguments.base) as base:
            return 0 if compare(base, ROOT) else 1
    except RunFailedError as error:
        print(f"same-bits: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

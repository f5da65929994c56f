"""Damaged checkpoints are passed over, whatever is damaged in them, and training goes on to its end."""

import json
import shutil
from pathlib import Path

import pytest

SETTINGS = ("run.save_every=2 steps", "eval.every=50 steps", "run.keep=5", "stop=[{budget: {steps: 8}}]")


def emptied(name: str):
    return lambda folder: (folder / name).write_bytes(b"")


def removed(name: str):
    return lambda folder: (folder / name).unlink()


def a_folder(name: str):
    def replace(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return replace


def written(name: str, content: bytes):
    return lambda folder: (folder / name).write_bytes(content)


def all_emptied(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(b"")


def all_removed(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


KINDS = {
    "state emptied": emptied("state.json"),
    "state gone": removed("state.json"),
    "state a folder": a_folder("state.json"),
    "state of nonsense": written("state.json", b'{"best_step": "x", "awaited": 7}'),
    "manifest emptied": emptied("manifest.json"),
    "manifest gone": removed("manifest.json"),
    "manifest a folder": a_folder("manifest.json"),
    "manifest a list": written("manifest.json", b"[1]"),
    "manifest without end": written("manifest.json", b'{"files": {"a": {"size": Infinity}}, "sha256": ""}'),
    "weights emptied": emptied("weights.safetensors"),
    "optimizer gone": removed("optimizer.safetensors"),
    "random numbers gone": removed("random-0.json"),
    "all emptied": all_emptied,
    "all gone": all_removed,
}
FEW = ("state emptied", "manifest without end", "all gone")


@pytest.fixture(scope="module")
def whole(launcher, tmp_path_factory):
    """A run that has ended, with checkpoints of steps 2, 4, 6 and 8."""
    run_dir = tmp_path_factory.mktemp("whole") / "run"
    launcher.run("regression", *SETTINGS, f"run.dir={run_dir}")
    assert len(list((run_dir / "checkpoints").iterdir())) == 4
    return run_dir


@pytest.mark.parametrize(
    "kind", [kind if kind in FEW else pytest.param(kind, marks=pytest.mark.long) for kind in KINDS]
)
def test_two_damaged_ones_are_passed_over(launcher, read, whole, tmp_path, kind):
    run_dir = Path(shutil.copytree(whole, tmp_path / "run"))
    (run_dir / "result.json").unlink()
    (run_dir / "samples.json").write_text("{")
    for step in (6, 8):
        KINDS[kind](run_dir / "checkpoints" / f"step-{step:08d}")
    launched = launcher.run("regression", *SETTINGS, f"run.dir={run_dir}")
    assert "continuing at step 4" in launched.out
    assert "passed over a damaged checkpoint: step-00000008" in launched.out
    assert read.losses(run_dir) == read.losses(whole)
    assert json.loads((run_dir / "result.json").read_text())["status"] == "completed"

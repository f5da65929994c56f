from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.checkpoint.manifest import (
    MANIFEST,
    _self_digest,
    checkpoint_name,
    checkpoint_step,
    newest_valid,
    prune,
    read_manifest,
    verify,
    write_manifest,
)


def checkpoint(parent: Path, step: int) -> Path:
    folder = parent / checkpoint_name(step)
    (folder / "shards").mkdir(parents=True)
    (folder / "weights").write_bytes(os.urandom(64))
    (folder / "shards" / "0").write_bytes(b"shard" * 20)
    (folder / "empty").write_bytes(b"")
    write_manifest(folder, {"step": step})
    return folder


def test_names_sort_as_steps_do() -> None:
    assert checkpoint_name(120) == "step-00000120"
    assert checkpoint_step(Path("x/step-00000120")) == 120
    assert checkpoint_step(Path("step-123456789")) == 123456789
    for other in ("step-12", "step-00000120.tmp-1-ab", "Step-00000120", "step-0000012x", "best"):
        assert checkpoint_step(Path(other)) is None


def test_a_whole_folder_has_no_problems(tmp_path) -> None:
    folder = checkpoint(tmp_path, 3)
    manifest = json.loads((folder / MANIFEST).read_text())
    assert verify(folder) == []
    assert manifest["step"] == 3
    assert set(manifest["files"]) == {"weights", "shards/0", "empty"}
    assert manifest["files"]["empty"] == {
        "size": 0,
        "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    }
    assert read_manifest(folder)["step"] == 3


def test_a_manifest_can_be_written_again(tmp_path) -> None:
    folder = checkpoint(tmp_path, 3)
    (folder / "weights").write_text("others")
    write_manifest(folder, {"step": 4, "values": {2: float("nan"), 10: (1, "ü")}})
    assert verify(folder) == []
    assert read_manifest(folder)["values"] == {"2": None, "10": [1, "ü"]}


def flip(path: Path, at: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))


def outside(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["sha256"]
    manifest["files"]["../../secret"] = {"size": 1, "sha256": "00"}
    manifest["sha256"] = _self_digest(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def linked(folder: Path) -> None:
    shutil.move(folder / "weights", folder.parent / "weights")
    (folder / "weights").symlink_to(folder.parent / "weights")


DAMAGE = {
    "a flipped bit": (lambda f: flip(f / "weights", 17), "weights is damaged"),
    "a flipped bit in a shard": (lambda f: flip(f / "shards" / "0"), "shards/0 is damaged"),
    "truncated": (lambda f: os.truncate(f / "weights", 63), "weights has 63 bytes instead of 64"),
    "emptied": (lambda f: os.truncate(f / "weights", 0), "weights has 0 bytes instead of 64"),
    "longer": (lambda f: (f / "empty").write_text("x"), "empty has 1 bytes"),
    "removed": (lambda f: (f / "weights").unlink(), "weights is missing"),
    "a folder in its place": (lambda f: ((f / "empty").unlink(), (f / "empty").mkdir()), "empty is missing"),
    "a link in its place": (linked, "weights is missing"),
    "no manifest": (lambda f: (f / MANIFEST).unlink(), "manifest.json is missing"),
    "an empty manifest": (lambda f: os.truncate(f / MANIFEST, 0), "manifest.json cannot be read"),
    "half a manifest": (lambda f: os.truncate(f / MANIFEST, 100), "manifest.json cannot be read"),
    "a list for a manifest": (lambda f: (f / MANIFEST).write_text("[]"), "manifest.json cannot be read"),
    "a number for a manifest": (
        lambda f: (f / MANIFEST).write_text('{"files": 1, "sha256": ""}'),
        "cannot be read",
    ),
    "a deep manifest": (lambda f: (f / MANIFEST).write_text("[" * 100_000), "manifest.json cannot be read"),
    "a way out": (outside, "outside the folder: ../../secret"),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_found_and_the_one_before_is_used(tmp_path, damage, words) -> None:
    older, newer = checkpoint(tmp_path, 10), checkpoint(tmp_path, 20)
    damage(newer)
    problems = verify(newer)
    assert len(problems) == 1
    assert words in problems[0]
    assert newest_valid(tmp_path) == (older, [f"step-00000020: {problems[0]}"])


def test_every_single_byte_of_a_manifest_counts(tmp_path) -> None:
    folder = checkpoint(tmp_path, 3)
    whole = (folder / MANIFEST).read_bytes()
    for at in range(len(whole) - 1):  # all but the last line break
        flip(folder / MANIFEST, at)
        assert verify(folder), f"byte {at} of {whole!r}"
        (folder / MANIFEST).write_bytes(whole)
    assert verify(folder) == []


def test_other_files_are_nobodys_business(tmp_path) -> None:
    folder = checkpoint(tmp_path, 3)
    (folder / "notes.txt").write_text("looks good")
    (tmp_path / "README").write_text("x")
    (tmp_path / "step-00000009").write_text("a file")
    (tmp_path / "step-00000005.tmp-1-ab").mkdir()
    assert newest_valid(tmp_path) == (folder, [])


def test_nothing_there_is_no_problem_but_nothing_whole_is(tmp_path) -> None:
    assert newest_valid(tmp_path / "missing") == (None, [])
    assert newest_valid(tmp_path) == (None, [])
    (checkpoint(tmp_path, 3) / "weights").unlink()
    assert newest_valid(tmp_path) == (None, ["step-00000003: weights is missing"])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_prune_keeps_the_newest_and_the_protected(tmp_path) -> None:
    for step in (10, 20, 30, 40):
        checkpoint(tmp_path, step)
    assert prune(tmp_path, 4) == []
    gone = prune(tmp_path, 2, {"step-00000010"})
    assert [path.name for path in gone] == ["step-00000020"]
    assert names(tmp_path) == ["step-00000010", "step-00000030", "step-00000040"]


def test_broken_ones_do_not_count_as_kept(tmp_path) -> None:
    for step in (10, 20, 30, 40):
        checkpoint(tmp_path, step)
    for step in (30, 40):
        (tmp_path / checkpoint_name(step) / "weights").unlink()
    prune(tmp_path, 2)
    assert names(tmp_path) == [
        "step-00000010",
        "step-00000020",
        "step-00000040",
    ]  # the newest may be read yet


def test_the_last_whole_one_stays_although_newer_ones_look_sound(tmp_path) -> None:
    for step in (10, 20, 30):
        checkpoint(tmp_path, step)
    for step in (20, 30):
        flip(tmp_path / checkpoint_name(step) / "weights")  # right sizes, wrong bytes
    prune(tmp_path, 1)
    assert newest_valid(tmp_path)[0] == tmp_path / "step-00000010"
    assert names(tmp_path) == ["step-00000010", "step-00000030"]


def test_where_nothing_is_whole_nothing_is_removed(tmp_path) -> None:
    for step in (10, 20, 30):
        flip(checkpoint(tmp_path, step) / "weights")
    assert prune(tmp_path, 1) == []
    assert len(names(tmp_path)) == 3


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["whole", "flipped", "short", "no manifest"]), max_size=5),
    st.integers(1, 4),
    st.sets(st.integers(0, 4)),
)
def test_prune_never_takes_what_a_resume_would_need(tmp_path, states, keep, protected) -> None:
    parent = tmp_path / "checkpoints"
    shutil.rmtree(parent, ignore_errors=True)
    parent.mkdir()
    for step, condition in enumerate(states):
        folder = checkpoint(parent, step)
        if condition == "flipped":
            flip(folder / "weights")
        elif condition == "short":
            os.truncate(folder / "weights", 1)
        elif condition == "no manifest":
            (folder / MANIFEST).unlink()
    before, (newest, _) = names(parent), newest_valid(parent)
    kept_names = {checkpoint_name(step) for step in protected}
    prune(parent, keep, kept_names)
    assert newest_valid(parent)[0] == newest
    assert kept_names & set(before) <= set(names(parent))
    if newest is not None:
        assert len(names(parent)) <= keep + len(kept_names) + 1


DIES_PRUNING = """
from tunesmith.checkpoint.manifest import prune
armed()
prune(folder / "checkpoints", 1)
"""


def test_death_while_pruning_leaves_whole_checkpoints_or_rubbish(tmp_path, dies_at) -> None:
    from tunesmith.checkpoint.run_dir import recover

    for at in range(1, 60):
        folder = tmp_path / str(at)
        for step in (1, 2, 3):
            checkpoint(folder / "checkpoints", step)
        finished = dies_at(DIES_PRUNING, folder, at)
        for path in (folder / "checkpoints").glob("step-*"):
            assert checkpoint_step(path) is None or verify(path) == []
        assert newest_valid(folder / "checkpoints")[0] == folder / "checkpoints" / "step-00000003"
        recover(folder)
        if finished:
            break
    assert finished
    assert names(folder / "checkpoints") == ["step-00000003"]

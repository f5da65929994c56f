"""Tidying after a save passes over what is damaged, and over what another process is writing."""

import json

import pytest

from tunesmith.train.async_eval.mailbox import drop_all, drop_collected
from tunesmith.train.resume.checkpoint_facts import checkpoint_states
from tunesmith.train.resume.save import drop_older_best


@pytest.fixture
def run_dir(tmp_path):
    """Two checkpoints, of which the newer one speaks of step 2 and waits for step 3."""
    for step, best, awaited in ((2, 1, []), (4, 2, [3])):
        folder = tmp_path / "checkpoints" / f"step-{step:08d}"
        folder.mkdir(parents=True)
        (folder / "state.json").write_text(json.dumps({"best_step": best, "awaited": awaited}))
    for folder in ("best", "looks"):
        for step in (1, 2, 3, 5):
            (tmp_path / folder / f"step-{step:08d}").mkdir(parents=True)
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"best_step": "x", "awaited": 7}', b"[" * 99999, None]
)
def test_a_damaged_state_says_nothing(run_dir, content):
    state = run_dir / "checkpoints" / "step-00000002" / "state.json"
    state.unlink() if content is None else state.write_bytes(content)
    drop_older_best(run_dir)
    drop_collected(run_dir)
    assert {"best_step": 2, "awaited": [3]} in list(checkpoint_states(run_dir))
    assert names(run_dir / "looks") == ["step-00000003", "step-00000005"]
    assert (run_dir / "best" / "step-00000005").exists()


def test_what_another_process_is_writing_stays(run_dir):
    """A share of a look that the first process has not come to yet."""
    under_way = [
        "step-00000001.tmp-7-0a1b2c3d",
        "step-00000006.tmp-7-0a1b2c3d",
        "scored-00000001.tmp-7-0a1b2c3d",
    ]
    for name in under_way:
        (run_dir / "looks" / name).mkdir()
    (run_dir / "looks" / "notes").mkdir()
    drop_collected(run_dir)
    assert names(run_dir / "looks") == sorted([*under_way, "notes", "step-00000003", "step-00000005"])


@pytest.mark.parametrize("notes", [False, True])
def test_at_the_end_only_what_a_user_put_there_is_left(run_dir, notes):
    for name in ("scorer.log", "scorer.json", "owner.lock"):
        (run_dir / "looks" / name).write_text("{}")
    if notes:
        (run_dir / "looks" / "notes").write_text("mine")
    drop_all(run_dir)
    assert (names(run_dir / "looks") if notes else []) == (["notes"] if notes else [])
    assert (run_dir / "looks").exists() == notes

"""Folders written in the background: whole or not at all, tried again, and never more than one of a kind."""

import dataclasses
import errno
import shutil
import threading
import time

import pytest

from tunesmith.checkpoint import saver as saving
from tunesmith.checkpoint.manifest import verify
from tunesmith.checkpoint.saver import SaveJob, Saver
from tunesmith.errors import UserError


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(saving, "PAUSES", (0.01,))


def job_of(tmp_path, name, write, *, kind="checkpoint", done=None):
    final = tmp_path / name
    return SaveJob(
        kind=kind,
        final=final,
        folder=final.with_name(f"{name}.tmp-1"),
        write=write,
        about={"name": name},
        make_room=lambda: None,
        after=(lambda: done.append(name)) if done is not None else (lambda: None),
    )


def writing(text="x", *, file="a", wait=None, failing=0):
    """Write a file; after waiting for an event, and after failing some times."""
    left = [failing]

    def write(folder):
        if wait is not None:
            assert wait.wait(20)
        if left[0] > 0:
            left[0] -= 1
            raise OSError(errno.ENOSPC, "no space")
        (folder / file).write_text(text)

    return write


def test_training_goes_on_meanwhile_and_jobs_keep_their_order(tmp_path):
    go, done = threading.Event(), []
    saver = Saver(rank=0, processes=1)
    saver.submit(job_of(tmp_path, "best", writing(wait=go), kind="best", done=done))
    saver.submit(job_of(tmp_path, "one", writing(), done=done))
    time.sleep(0.1)
    assert not (tmp_path / "best").exists()
    assert not (tmp_path / "one").exists()
    go.set()
    assert saver.wait() is None
    assert done == ["best", "one"]
    assert verify(tmp_path / "best") == verify(tmp_path / "one") == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best", "one"]


def test_the_second_of_a_kind_waits_for_the_first(tmp_path):
    go = threading.Event()
    saver = Saver(rank=0, processes=1)
    saver.submit(job_of(tmp_path, "one", writing(wait=go)))
    threading.Timer(0.2, go.set).start()
    saver.submit(job_of(tmp_path, "two", writing()))
    assert (tmp_path / "one").exists()
    assert saver.wait() is None
    assert (tmp_path / "two").exists()


@pytest.mark.parametrize("background", [True, False])
def test_what_fails_is_tried_again(tmp_path, background):
    told = []
    saver = Saver(rank=0, processes=1, tell=told.append, background=background)
    saver.submit(job_of(tmp_path, "one", writing(failing=2)))
    assert saver.wait() is None
    assert verify(tmp_path / "one") == []
    assert "no space is left" in told[0]
    assert told[1:] == ["checkpoint one: written at last"]


def test_something_newer_takes_the_place_of_what_cannot_be_written(tmp_path):
    told = []
    saver = Saver(rank=0, processes=1, tell=told.append)
    saver.submit(job_of(tmp_path, "one", writing(failing=10**9)))
    saver.submit(job_of(tmp_path, "two", writing()))
    assert saver.wait() is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["two"]
    assert len(told) == 1


@pytest.mark.parametrize("background", [True, False])
def test_at_the_end_it_says_what_could_not_be_written(tmp_path, background):
    saver = Saver(rank=0, processes=1, tell=lambda _: None, background=background)
    saver.submit(job_of(tmp_path, "one", writing(failing=10**9)))
    trouble = saver.wait()
    assert trouble is not None
    assert "no space is left" in trouble.what
    assert list(tmp_path.iterdir()) == []


def test_nothing_has_its_name_before_every_process_wrote_its_share(tmp_path):
    go = threading.Event()
    savers = [Saver(rank=rank, processes=2, tell=lambda _: None) for rank in (0, 1)]
    savers[0].submit(job_of(tmp_path, "one", writing("0", file="a")))
    savers[1].submit(job_of(tmp_path, "one", writing("1", file="b", wait=go, failing=1)))
    time.sleep(0.1)
    assert not (tmp_path / "one").exists()
    go.set()
    assert [saver.wait() for saver in savers[::-1]] == [None, None]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["a", "b", "manifest.json"]
    assert verify(tmp_path / "one") == []


def test_who_has_lost_the_directory_publishes_nothing(tmp_path):
    def refuse():
        raise UserError("taken over")

    saver = Saver(rank=0, processes=1, check=refuse)
    saver.submit(job_of(tmp_path, "one", writing()))
    with pytest.raises(UserError, match="taken over"):
        saver.wait()
    assert not (tmp_path / "one").exists()


def test_older_ones_that_cannot_be_removed_do_not_undo_a_save(tmp_path):
    def after():
        raise OSError(errno.EIO, "no such luck")

    told = []
    saver = Saver(rank=0, processes=1, tell=told.append)
    job = job_of(tmp_path, "one", writing())
    saver.submit(SaveJob(**{**{name: getattr(job, name) for name in SaveJob.__slots__}, "after": after}))
    assert saver.wait() is None
    assert verify(tmp_path / "one") == []
    assert "no such luck" in told[0]


def test_a_share_whose_folder_was_given_up_meanwhile_is_tried_again(tmp_path):
    """The first process tidies what this one is writing: no fault, and the next attempt may succeed."""
    taken = []

    def write(folder):
        if not taken:
            taken.append(folder)
            shutil.rmtree(folder)
        (folder / "b").write_text("x")

    job = job_of(tmp_path, "step-1", write)
    with pytest.raises(UserError, match="gave it up"):
        saving.write_share(job, rank=1)
    saving.write_share(job, rank=1)
    assert (job.folder / "b").exists()


@pytest.mark.parametrize("error", [OSError("x"), ValueError("x"), KeyError("x")])
def test_tidying_that_fails_is_said_and_ends_nothing(tmp_path, error):
    told = []

    def after():
        raise error

    saver = Saver(rank=0, processes=1, tell=told.append, background=False)
    saver.submit(dataclasses.replace(job_of(tmp_path, "step-1", writing()), after=after))
    assert saver.wait() is None
    assert verify(tmp_path / "step-1") == []
    assert "not removed" in told[0]

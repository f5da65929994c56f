"""Of what may lie in somebody's folder only plain files are read, at once and within a bound."""

import os
import socket
import tracemalloc

import pytest

from tunesmith.checkpoint.lock import LOCK_FILE, owner_of
from tunesmith.checkpoint.plain_file import MIB, is_there, open_plain, read_plain, refuse_closed
from tunesmith.checkpoint.run_dir import refuse_links
from tunesmith.errors import UserError

ODD = ["link", "dangling link", "link to a device", "pipe", "socket", "folder"]


def put(path, kind: str) -> None:
    """Something that is no plain file."""
    if kind == "link":
        (path.parent / "outside").write_text("OUTSIDE")
        path.symlink_to(path.parent / "outside")
    elif kind == "dangling link":
        path.symlink_to(path.parent / "nowhere")
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        here = os.getcwd()
        os.chdir(path.parent)  # a socket's whole path must be short
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
        os.chdir(here)
    else:
        path.mkdir()


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_plain_file_is_not_opened(tmp_path, kind: str) -> None:
    path = tmp_path / "result.json"
    put(path, kind)
    with pytest.raises(OSError, match="no plain file") as found:
        open_plain(path)
    assert kind.rsplit(maxsplit=1)[-1] in found.value.strerror or "link" in kind
    assert is_there(path)


def test_a_device_is_not_opened() -> None:
    with pytest.raises(OSError, match="a device"):
        open_plain("/dev/zero")


def test_a_plain_file(tmp_path) -> None:
    path = tmp_path / "file"
    assert not is_there(path)
    with pytest.raises(FileNotFoundError):
        read_plain(path)
    path.write_bytes(b"content")
    assert read_plain(path) == read_plain(path, 7) == b"content"


def test_a_hole_of_gigabytes_is_not_read(tmp_path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(3 * 1024 * MIB)
    with pytest.raises(OSError, match="larger than 64 MiB"):
        read_plain(path)


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_a_lock_that_is_none_is_not_waited_for(tmp_path, kind: str) -> None:
    put(tmp_path / LOCK_FILE, kind)
    with pytest.raises(OSError, match="no plain file"):
        owner_of(tmp_path)


@pytest.mark.parametrize("kind", ["pipe", "socket", "link"])
def test_a_run_does_not_begin_among_them(tmp_path, kind: str) -> None:
    (tmp_path / "run" / "in").mkdir(parents=True)
    put(tmp_path / "run" / "in" / "it", kind)
    with pytest.raises(UserError, match="stands in the run directory") as found:
        refuse_links(tmp_path / "run")
    assert found.value.where.endswith("run/in/it")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_a_private_folder(tmp_path) -> None:
    tmp_path.chmod(0)
    try:
        with pytest.raises(UserError, match="cannot be looked into"):
            refuse_closed(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_small_file_takes_little_memory_whatever_the_bound(tmp_path) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"x" * 3_000_000)
    tracemalloc.start()
    try:
        assert len(read_plain(path, 1 << 30)) == 3_000_000
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()

from __future__ import annotations

import json
import math
import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tunesmith.checkpoint.atomic import (
    make_folder,
    publish_folder,
    remove_folder,
    staging_folder,
    write_bytes,
    write_json,
    write_text,
    writing,
)
from tunesmith.checkpoint.names import temporary_path
from tunesmith.checkpoint.run_dir import recover
from tunesmith.errors import UserError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_what_is_written_is_read(tmp_path) -> None:
    write_text(tmp_path / "a.txt", "grüße\n")
    write_bytes(tmp_path / "b.bin", b"\x00\xff")
    write_json(tmp_path / "c.json", {"loss": math.nan, "nested": [math.inf, 1.5, "ü"]})
    assert (tmp_path / "a.txt").read_text("utf-8") == "grüße\n"
    assert (tmp_path / "b.bin").read_bytes() == b"\x00\xff"
    assert json.loads((tmp_path / "c.json").read_text("utf-8")) == {"loss": None, "nested": [None, 1.5, "ü"]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.bin", "c.json"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], indirect=True)
def test_everything_is_private_whatever_the_umask(tmp_path, umask) -> None:
    (tmp_path / "old.txt").write_text("open to all")
    (tmp_path / "old.txt").chmod(0o666)
    write_text(tmp_path / "old.txt", "mine")
    folder = staging_folder(tmp_path / "deep" / "er" / "model")
    (folder / "sub").mkdir()
    (folder / "sub" / "weights").write_text("w")
    (folder / "sub" / "weights").chmod(0o644)
    publish_folder(folder, tmp_path / "deep" / "er" / "model")
    model = tmp_path / "deep" / "er" / "model"
    assert {mode(path) for path in (tmp_path / "old.txt", model / "sub" / "weights")} == {0o600}
    assert {mode(path) for path in (tmp_path / "deep", tmp_path / "deep/er", model, model / "sub")} == {0o700}


def test_a_link_is_replaced_and_not_followed(tmp_path) -> None:
    (tmp_path / "elsewhere").write_text("not ours")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    write_text(tmp_path / "link", "ours")
    assert (tmp_path / "elsewhere").read_text() == "not ours"
    assert not (tmp_path / "link").is_symlink()


def test_existing_folders_keep_their_mode(tmp_path) -> None:
    (tmp_path / "shared").mkdir(mode=0o755)
    (tmp_path / "shared").chmod(0o755)
    make_folder(tmp_path / "shared" / "run")
    make_folder(tmp_path / "shared" / "run")
    assert mode(tmp_path / "shared") == 0o755


def test_bytes_are_flushed_before_they_get_their_name_and_the_folder_after(tmp_path, monkeypatch) -> None:
    """Watches the real calls; a power cut cannot be had in a test."""
    calls = []

    def watch(name: str) -> None:
        real = getattr(os, name)

        def call(*arguments, **keywords):
            first = arguments[0]
            at = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else str(first)
            calls.append((name, Path(at).name.partition(".tmp-")[0]))
            return real(*arguments, **keywords)

        monkeypatch.setattr(os, name, call)

    for name in ("fsync", "replace", "rename"):
        watch(name)
    write_text(tmp_path / "file", "x")
    assert calls == [("fsync", "file"), ("replace", "file"), ("fsync", tmp_path.name)]
    calls.clear()
    folder = staging_folder(tmp_path / "model")
    (folder / "sub").mkdir()
    (folder / "one").write_text("1")
    (folder / "sub" / "two").write_text("2")
    publish_folder(folder, tmp_path / "model")
    before, after = calls[: calls.index(("rename", "model"))], calls[calls.index(("rename", "model")) :]
    assert {("fsync", name) for name in ("one", "two", "sub", "model")} == set(before)
    assert after == [("rename", "model"), ("fsync", tmp_path.name)]


def test_a_finished_folder_is_not_overwritten_unless_asked(tmp_path) -> None:
    for content in ("old", "new"):
        folder = staging_folder(tmp_path / "model")
        (folder / content).write_text(content)
        if content == "old":
            publish_folder(folder, tmp_path / "model")
    with pytest.raises(FileExistsError):
        publish_folder(folder, tmp_path / "model")
    assert os.listdir(tmp_path / "model") == ["old"]
    publish_folder(folder, tmp_path / "model", replace=True)
    assert os.listdir(tmp_path / "model") == ["new"]
    assert os.listdir(tmp_path) == ["model"]


def test_removing_leaves_nothing(tmp_path) -> None:
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "model" / "sub" / "file").write_text("x")
    remove_folder(tmp_path / "model")
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_the_old_content(full_disk) -> None:
    write_text(full_disk / "result.json", "old")
    with pytest.raises(UserError) as mistake:
        write_bytes(full_disk / "result.json", b"x" * 200_000)
    assert "no space is left" in mistake.value.what
    assert mistake.value.where == str(full_disk / "result.json")
    assert (full_disk / "result.json").read_text() == "old"
    assert os.listdir(full_disk) == ["result.json"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_the_users_matter(tmp_path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="permission is denied"):
        write_text(tmp_path / "file", "x")
    tmp_path.chmod(0o700)


def test_a_name_that_is_too_long_is_the_users_matter(tmp_path) -> None:
    with pytest.raises(UserError, match="too long"):
        write_text(tmp_path / ("x" * 300), "x")


def test_what_is_not_the_users_matter_stays_a_fault(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        write_text(tmp_path / "missing" / "file", "x")


# --- death at every file operation ------------------------------------------------------------

WRITES = """
from tunesmith.checkpoint.atomic import write_text
armed()
write_text(folder / "result.json", "new" * 1000)
"""

PUBLISHES = """
from tunesmith.checkpoint.atomic import publish_folder, staging_folder
armed()
temporary = staging_folder(folder / "model")
for name in ("a", "b"):
    (temporary / name).write_text("new")
publish_folder(temporary, folder / "model", replace=True)
"""

REMOVES = """
from tunesmith.checkpoint.atomic import remove_folder
armed()
remove_folder(folder / "model")
"""


def prepared(folder: Path) -> Path:
    (folder / "model").mkdir(parents=True)
    for name in ("a", "b"):
        (folder / "model" / name).write_text("old")
    (folder / "result.json").write_text("old")
    return folder


def state(folder: Path) -> tuple[str, list[str] | None]:
    model = folder / "model"
    held = sorted(path.name + path.read_text() for path in model.iterdir()) if model.exists() else None
    return (folder / "result.json").read_text(), held


@pytest.mark.parametrize(
    ("code", "before", "after"),
    [
        (WRITES, ("old", ["aold", "bold"]), ("new" * 1000, ["aold", "bold"])),
        (PUBLISHES, ("old", ["aold", "bold"]), ("old", ["anew", "bnew"])),
        (REMOVES, ("old", ["aold", "bold"]), ("old", None)),
    ],
    ids=["write", "publish", "remove"],
)
def test_death_at_any_operation_leaves_the_old_or_the_new(tmp_path, dies_at, code, before, after) -> None:
    seen = set()
    for at in range(1, 60):
        folder = prepared(tmp_path / str(at))
        finished = dies_at(code, folder, at)
        recover(folder)
        assert state(folder) in (before, after), at
        expected = {"model", "result.json"} if state(folder)[1] is not None else {"result.json"}
        assert {path.name for path in folder.iterdir()} == expected, at
        seen.add(str(state(folder)))
        if finished:
            break
    assert finished
    assert at > 3
    assert state(folder) == after
    assert seen == {str(before), str(after)}


def test_recovery_says_what_it_did_and_touches_nothing_else(tmp_path) -> None:
    prepared(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-00000001.tmp-1-abababab").mkdir()
    (tmp_path / "checkpoints" / "step-00000001.tmp-1-abababab" / "x.tmp-2-cdcdcdcd").write_text("x")
    (tmp_path / "result.json.tmp-9-ffffffff").write_text("half")
    (tmp_path / "adapter.old-12121212").mkdir()
    (tmp_path / "model.old-12121212").mkdir()
    target = tmp_path.parent / "precious"
    target.mkdir(exist_ok=True)
    (target / "file").write_text("precious")
    (tmp_path / "plan.txt.tmp-1-aaaaaaaa").symlink_to(target)
    assert sorted(recover(tmp_path)) == [
        "put back adapter",
        "removed the replaced model.old-12121212",
        "removed the unfinished checkpoints/step-00000001.tmp-1-abababab",
        "removed the unfinished plan.txt.tmp-1-aaaaaaaa",
        "removed the unfinished result.json.tmp-9-ffffffff",
    ]
    assert sorted(os.listdir(tmp_path)) == ["adapter", "checkpoints", "model", "result.json"]
    assert (target / "file").read_text() == "precious"
    assert recover(tmp_path) == []


def test_temporary_names_never_meet() -> None:
    names = {temporary_path(Path("/x/y")).name for _ in range(1000)}
    assert len(names) == 1000


FLOOD = """
import sys
from pathlib import Path
from tunesmith.checkpoint.atomic import write_bytes
print("go", flush=True)
while True:
    for letter in (b"a", b"b"):
        write_bytes(Path(sys.argv[1]), letter * 300_000)
"""


def test_a_killed_writer_never_leaves_a_part(tmp_path) -> None:
    generator = random.Random(0)
    for _ in range(6):
        path = tmp_path / "file"
        child = subprocess.Popen([sys.executable, "-c", FLOOD, str(path)], stdout=subprocess.PIPE)
        child.stdout.readline()
        while not path.exists():
            time.sleep(0.001)
        time.sleep(generator.random() * 0.05)
        child.send_signal(signal.SIGKILL)
        child.wait()
        content = path.read_bytes()
        assert len(content) == 300_000
        assert len(set(content)) == 1


def test_words_of_safetensors_about_the_system_are_understood(tmp_path):
    """Its errors are no ``OSError``; only their text tells the system's number."""
    from safetensors import SafetensorError

    with pytest.raises(UserError, match="no space is left on the disk"), writing(tmp_path / "w"):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    with pytest.raises(SafetensorError), writing(tmp_path / "w"):
        raise SafetensorError("Error while deserializing header")

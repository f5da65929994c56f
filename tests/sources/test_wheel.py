"""A file or folder out of a wheel, through a real pip."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.sources.address import WheelAddress
from tunesmith.sources.resolve import resolve
from tunesmith.sources.wheel import choose_members, last_meaningful_line

FILES = {
    "toy/data/rows.jsonl": b'{"text": "a"}\n',
    "toy/data/more/deep.txt": b"deep\n",
    "toy/model/config.json": b"{}",
    "toy/__init__.py": b"raise SystemExit('must not run')\n",
}
ROWS = "pypi:toy-data==1.0/toy/data/rows.jsonl"
FOLDER = "pypi:toy-data==1.0/toy/data"


@pytest.fixture
def wheel(index, make_wheel) -> Path:
    return make_wheel(index, "toy-data", "1.0", FILES)


def test_a_file_keeps_its_name_and_is_brought_once(wheel) -> None:
    path = resolve(ROWS, kind="dataset")
    assert path.name == "rows.jsonl"
    assert path.read_bytes() == FILES["toy/data/rows.jsonl"]
    wheel.unlink()  # pip could not bring it again
    assert resolve(ROWS, kind="dataset") == path


def test_a_folder_comes_whole(wheel) -> None:
    folder = resolve(FOLDER, kind="dataset")
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert found == {"rows.jsonl": b'{"text": "a"}\n', "more/deep.txt": b"deep\n"}


def test_sha256_is_of_the_file_and_for_a_folder_of_the_wheel(wheel) -> None:
    of_file = hashlib.sha256(FILES["toy/data/rows.jsonl"]).hexdigest()
    of_wheel = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert resolve(ROWS, sha256=of_file, kind="dataset").exists()
    assert resolve(FOLDER, sha256=of_wheel.upper(), kind="dataset").exists()
    with pytest.raises(UserError, match=of_file):
        resolve(ROWS, sha256="0" * 64, kind="dataset")
    with pytest.raises(UserError, match="64 hexadecimal"):
        resolve(ROWS, sha256="abc", kind="dataset")


def test_a_damaged_entry_is_brought_anew(wheel) -> None:
    path = resolve(ROWS, kind="dataset")
    for damage in (b"", b'{"text": "b"}\n'):  # shorter; and of the same length, seen only with a sha256
        path.write_bytes(damage)
        digest = hashlib.sha256(FILES["toy/data/rows.jsonl"]).hexdigest()
        assert resolve(ROWS, sha256=digest, kind="dataset").read_bytes() == FILES["toy/data/rows.jsonl"]
    (path.parents[1] / "entry.json").write_text("{")
    assert resolve(ROWS, kind="dataset").read_bytes() == FILES["toy/data/rows.jsonl"]


def test_a_path_that_is_not_there_lists_the_nearest(wheel) -> None:
    with pytest.raises(UserError) as caught:
        resolve("pypi:toy-data==1.0/toy/rows.jsonl", kind="dataset", where="r.yaml:1")
    assert "toy/data/rows.jsonl" in caught.value.hint
    assert caught.value.where == "r.yaml:1"


def test_a_wrong_version_says_which_there_are(wheel, tmp_path) -> None:
    with pytest.raises(UserError) as caught:
        resolve("pypi:toy-data==2.0/toy/data", kind="dataset")
    assert "toy-data==2.0" in caught.value.what
    assert "1.0" in caught.value.what
    assert "PIP_FIND_LINKS" in caught.value.hint
    assert len(caught.value.what.splitlines()) == 1
    left = [p for p in (tmp_path / "cache").rglob("*") if p.is_file() and p.suffix != ".lock"]
    assert left == [], "a failure leaves nothing behind"


def test_a_source_distribution_is_never_built(index) -> None:
    (index / "toy-data-3.0.tar.gz").write_bytes(b"not a wheel")
    with pytest.raises(UserError, match="pip could not bring"):
        resolve("pypi:toy-data==3.0/x", kind="dataset")


def test_a_file_that_is_no_archive_is_an_error(index) -> None:
    (index / "toy_data-1.0-py3-none-any.whl").write_bytes(b"garbage")
    with pytest.raises(UserError):
        resolve(ROWS, kind="dataset")


@pytest.mark.parametrize("member", ["toy/../../evil", "toy//x", "toy/a\\b"])
def test_members_that_would_leave_the_folder_are_refused(member, tmp_path) -> None:
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        archive.writestr(member, b"x")
        names = archive.namelist()
    with pytest.raises(UserError, match="unsafe path"):
        choose_members(names, WheelAddress("toy", "1", "toy"))


def test_a_cache_that_cannot_be_written_is_the_users_to_mend(wheel, tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="cache"):
        resolve(ROWS, kind="dataset")


def test_processes_that_start_at_once_bring_it_once(wheel, tmp_path) -> None:
    code = (
        "import logging; logging.basicConfig(level=20)\n"
        "import tunesmith.sources.wheel as w\n"
        "real = w.download_wheel\n"
        "w.download_wheel = lambda *a: (print('downloads'), real(*a))[1]\n"
        "from tunesmith.sources.resolve import resolve\n"
        f"print(resolve({ROWS!r}, kind='dataset').read_text())\n"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ)
        for _ in range(3)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert sum(output.count("downloads") for output in outputs) == 1
    assert all('{"text": "a"}' in output for output in outputs)
    leftovers = list((tmp_path / "cache").rglob(".*"))
    assert leftovers == []


def test_the_entry_records_where_it_came_from(wheel) -> None:
    path = resolve(ROWS, kind="dataset")
    record = json.loads((path.parents[1] / "entry.json").read_text())
    assert record["address"] == ROWS
    assert record["wheel_sha256"] == hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_secrets_in_pips_words_are_struck_out() -> None:
    output = "x\nERROR: 401 for https://me:s3cret@host/simple\nsomething"
    line = last_meaningful_line(output)
    assert "s3cret" not in line
    assert "401" in line

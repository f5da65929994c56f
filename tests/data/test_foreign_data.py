"""No format of data that is read can run anything; a pickle in any of them leaves its canary unwritten."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import tarfile
from pathlib import Path

import pytest
import torch

from tunesmith.data.read.rows import read_rows
from tunesmith.errors import UserError
from tunesmith.recipe.schema.data import Rows


class Payload:
    """Unpickled, it writes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return (os.system, (f"touch {self.canary}",))


@pytest.fixture
def canary(tmp_path: Path):
    path = tmp_path / "canary"
    yield path
    assert not path.exists()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def pickles(canary: Path) -> dict[str, bytes]:
    zipped = io.BytesIO()
    torch.save({"text": Payload(canary)}, zipped)
    return {"plain": pickle.dumps(Payload(canary)), "zip": zipped.getvalue()}


@pytest.mark.parametrize("how", ["plain", "zip"])
@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "txt", "parquet", "pkl", "pt", "npy", "jsonl.gz"])
@pytest.mark.parametrize("kind", ["auto", "jsonl", "parquet", "text"])
def test_a_pickle_under_every_name(tmp_path: Path, canary: Path, how: str, suffix: str, kind: str) -> None:
    path = tmp_path / f"rows.{suffix}"
    path.write_bytes(pickles(canary)[how])
    with contextlib.suppress(UserError):
        read_rows(Rows(source=str(path), format=kind))


@pytest.mark.parametrize(
    "name", ["rows.pkl", "rows.pt", "000.pth", "state.json", "dataset_dict.json", "a.arrow"]
)
@pytest.mark.parametrize("how", ["plain", "zip"])
def test_a_pickle_in_a_folder(tmp_path: Path, canary: Path, how: str, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / name).write_bytes(pickles(canary)[how])
    with pytest.raises(UserError, match="not a data set"):
        read_rows(Rows(source=str(tmp_path / "folder")))


def test_archives_whose_members_datasets_would_unpickle(tmp_path: Path, canary: Path) -> None:
    (tmp_path / "folder").mkdir()
    with tarfile.open(tmp_path / "folder" / "rows.tar", "w") as archive:
        for name, raw in (
            ("0.pth", pickles(canary)["zip"]),
            ("0.pyd", pickles(canary)["plain"]),
            ("0.txt", b"x"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    with pytest.raises(UserError, match="format `webdataset`, which is not read"):
        read_rows(Rows(source=str(tmp_path / "folder")))


def test_a_script_in_a_folder_of_data(tmp_path: Path, canary: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "rows.jsonl").write_text('{"text": "a"}\n')
    (folder / "folder.py").write_text(f"open({str(canary)!r}, 'w')\nimport datasets\n")
    (folder / "README.md").write_text("---\nconfigs:\n- config_name: default\n  builder: own\n---\n")
    with contextlib.suppress(UserError):
        read_rows(Rows(source=str(folder)))


def test_plain_folders_are_read(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "train.csv").write_text("text,label\na,b\n")
    assert read_rows(Rows(source=str(tmp_path / "folder"))).rows[0].columns == {"text": "a", "label": "b"}

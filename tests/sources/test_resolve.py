"""From a source to something that can be opened."""

from __future__ import annotations

import hashlib

import pytest

from tunesmith.errors import UserError
from tunesmith.sources.address import HubAddress, PythonAddress
from tunesmith.sources.resolve import resolve


@pytest.fixture
def data(tmp_path):
    (tmp_path / "questions.jsonl").write_text("{}\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    return tmp_path


def test_paths_that_exist(data, monkeypatch) -> None:
    digest = hashlib.sha256(b"{}\n").hexdigest()
    assert resolve(f"{data}/questions.jsonl", sha256=digest, kind="dataset") == data / "questions.jsonl"
    assert resolve(f"{data}/folder", kind="model") == data / "folder"
    monkeypatch.chdir(data)
    assert resolve("./questions.jsonl", kind="dataset") == data / "questions.jsonl"


def test_addresses_for_others_to_open() -> None:
    assert resolve("org/name", revision="v1", kind="model") == HubAddress("org/name", "v1")
    assert resolve("python:m:f", kind="dataset") == PythonAddress("m", "f")


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        ("{}/question.jsonl", {}, "did you mean `questions.jsonl`"),
        ("{}/zzz", {}, "in that folder are"),
        ("{}/folder/x", {}, "that folder is empty"),
        ("{}/no/where/x", {}, "exists, what should be below it does not"),
        ("{}/dangling", {}, "a link to nothing"),
        ("{}/questions.jsonl", {"sha256": "0" * 64}, "has the SHA-256"),
        ("{}/questions.jsonl", {"revision": "v1"}, "not on the hub"),
        ("{}/folder", {"sha256": "0" * 64}, "is a folder"),
        ("org/name", {"sha256": "0" * 64}, "pin it by `revision`"),
        ("python:m:f", {"sha256": "0" * 64}, "not a file"),
        ("python:m:f", {"kind": "model"}, "a model is needed"),
    ],
)
def test_what_cannot_be_opened_says_so(data, source, options, words) -> None:
    with pytest.raises(UserError) as caught:
        resolve(source.format(data), where="r.yaml:2:3", **({"kind": "dataset"} | options))
    assert words in str(caught.value)
    assert caught.value.where == "r.yaml:2:3"


def test_a_hub_name_that_is_also_a_path_here_is_ambiguous(data, monkeypatch) -> None:
    (data / "org" / "name").mkdir(parents=True)
    monkeypatch.chdir(data)
    with pytest.raises(UserError, match="also a path here"):
        resolve("org/name", kind="model")

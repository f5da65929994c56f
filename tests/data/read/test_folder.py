"""Folders of data: all of their rows, and nothing from outside of them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from tunesmith.data.read.confinement import refuse_card
from tunesmith.data.read.rows import read_rows
from tunesmith.errors import UserError
from tunesmith.recipe.schema.data import Rows
from tunesmith.recipe.tasks.vision import IMAGE_CLASSIFICATION


@pytest.fixture
def outside(tmp_path) -> Path:
    """A folder with rows, and beside it rows that nobody asked for."""
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.csv").write_text("text,kind\nin,a\n")
    (tmp_path / "outside.csv").write_text("text,kind\nOUTSIDE,a\n")
    return tmp_path


def texts(source, **settings) -> list[str]:
    return [row.columns["text"] for row in read_rows(Rows(source=str(source), **settings)).rows]


CARDS = [
    "data_files: ../outside.csv",
    "data_files: [train.csv, ../outside.csv]",
    "data_files: [{split: train, path: ../outside.csv}]",
    "data_files: [{split: train, path: [train.csv, 'sub/../../outside.csv']}]",
    "data_files: {outside}",
    "data_files: file://{outside}",
    "data_files: https://example.org/a.csv",
    "data_files: 'zip://a.csv::https://example.org/a.zip'",
    "data_files: ~/a.csv",
    "data_dir: ..",
    "data_dir: /etc",
]


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("name", ["README.md", ".huggingface.yaml"])
def test_a_description_is_not_followed_out_of_the_folder(outside, card, name) -> None:
    card = card.replace("{outside}", str(outside / "outside.csv"))
    text = f"configs:\n- config_name: default\n  {card}\n"
    (outside / "set" / name).write_text(f"---\n{text}---\n" if name == "README.md" else text)
    with pytest.raises(UserError, match="leads out of the data set's folder"):
        texts(outside / "set")


def test_a_description_that_stays_inside_is_followed(outside) -> None:
    (outside / "set" / "more").mkdir()
    (outside / "set" / "more" / "rows.csv").write_text("text;kind\nmore;b\n")
    (outside / "set" / "README.md").write_text(
        "---\nconfigs:\n- config_name: one\n  data_files: train.csv\n"
        "- config_name: two\n  sep: ;\n  data_files:\n  - split: big\n    path: more/*.csv\n---\nWords.\n"
    )
    assert texts(outside / "set", name="one") == ["in"]
    assert texts(outside / "set", name="two") == ["more"]


@pytest.mark.parametrize("card", ["- ][", "a: &a [*a]\nconfigs: *a", "configs: 5", "configs: [5, x]", "5"])
def test_odd_descriptions(card) -> None:
    with contextlib.suppress(UserError):  # and no other error
        refuse_card(f"---\n{card}\n---\n", "README.md", "")


def test_a_description_that_multiplies_is_looked_at_once() -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12))
    refuse_card(f"---\nl0: &l0 [x]\n{levels}\nconfigs: [{{data_files: *l11}}]\n---\n", "README.md", "")


def test_a_link_out_of_the_folder_is_not_followed(outside) -> None:
    (outside / "set" / "train.csv").unlink()
    (outside / "set" / "train.csv").symlink_to(outside / "outside.csv")
    with pytest.raises(UserError, match="lies outside of its folder"):
        texts(outside / "set")
    (outside / "set" / "real.txt").write_text("text,kind\nlinked,a\n")
    (outside / "set" / "train.csv").unlink()
    (outside / "set" / "train.csv").symlink_to("real.txt")
    assert texts(outside / "set") == ["linked"]


def test_a_snapshot_of_the_hubs_cache_may_link_to_its_blobs(tmp_path) -> None:
    snapshot = tmp_path / "datasets--a--b" / "snapshots" / "c0ffee"
    (tmp_path / "datasets--a--b" / "blobs").mkdir(parents=True)
    snapshot.mkdir(parents=True)
    (tmp_path / "datasets--a--b" / "blobs" / "12").write_text("text\nblob\n")
    (snapshot / "train.csv").symlink_to("../../blobs/12")
    assert texts(snapshot) == ["blob"]


def test_a_saved_data_set_keeps_to_its_folder(tmp_path) -> None:
    import datasets

    for name in ("in", "out"):
        datasets.Dataset.from_dict({"text": [name]}).save_to_disk(f"{tmp_path}/{name}")
    state = json.loads((tmp_path / "in" / "state.json").read_text())
    arrow = state["_data_files"][0]["filename"]
    assert texts(tmp_path / "in") == ["in"]
    state["_data_files"][0]["filename"] = f"../out/{arrow}"
    (tmp_path / "in" / "state.json").write_text(json.dumps(state))
    with pytest.raises(UserError, match="leads out"):
        texts(tmp_path / "in")
    state["_data_files"][0]["filename"] = arrow
    (tmp_path / "in" / "state.json").write_text(json.dumps(state))
    (tmp_path / "in" / arrow).unlink()
    (tmp_path / "in" / arrow).symlink_to(tmp_path / "out" / arrow)
    with pytest.raises(UserError, match="lies outside"):
        texts(tmp_path / "in")
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "dataset_dict.json").write_text('{"splits": ["../out"]}')
    with pytest.raises(UserError, match="leads out"):
        texts(tmp_path / "both")


@pytest.mark.parametrize("name", ["../out.png", "/etc/hostname", "file:///etc/hostname", "link.png"])
def test_metadata_of_a_folder_of_pictures_keeps_to_it(tmp_path, load, name) -> None:
    from PIL import Image

    (tmp_path / "set").mkdir()
    for file in ("out.png", "set/in.png"):
        Image.new("RGB", (4, 4), "red").save(tmp_path / file)
    (tmp_path / "set" / "link.png").symlink_to(tmp_path / "out.png")
    lines = [{"file_name": "in.png", "label": "a"}, {"file_name": name, "label": "b"}]
    (tmp_path / "set" / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(UserError, match=r"outside|must be a relative path"):
        load({"source": f"{tmp_path}/set"}, needs=IMAGE_CLASSIFICATION.row_schema)


def test_files_of_several_formats_are_not_left_out_in_silence(outside) -> None:
    (outside / "set" / "more.jsonl").write_text('{"text": "j"}\n')
    with pytest.raises(UserError, match="several formats"):
        texts(outside / "set")
    assert texts(outside / "set" / "*") == ["j", "in"]
    (outside / "set" / "more.jsonl").unlink()
    for name, text in (
        ("config.json", "{}"),
        ("LICENSE.txt", "x"),
        (".hidden.jsonl", "{}"),
        ("README.md", "x"),
    ):
        (outside / "set" / name).write_text(text)
    assert texts(outside / "set") == ["in"]


def test_rows_of_a_folder_are_named_by_file_and_line(outside) -> None:
    (outside / "set" / "train.csv").write_text("text,kind\nin,a\nbroken\n")
    raw = read_rows(Rows(source=str(outside / "set")))
    assert [row.id for row in raw.rows] == ["train.csv:2"]
    assert raw.where(raw.skips[0].id) == f"{outside}/set/train.csv:3"


def test_splits_of_a_folder_and_json_of_both_kinds(tmp_path) -> None:
    (tmp_path / "train.json").write_text('[{"text": "list"}]')
    (tmp_path / "test.json").write_text('{"text": "line"}\n{"text": "line 2"}\n')
    assert texts(tmp_path, split="train") == ["list"]
    assert texts(tmp_path, split="test") == ["line", "line 2"]
    with pytest.raises(UserError, match="several splits"):
        texts(tmp_path)

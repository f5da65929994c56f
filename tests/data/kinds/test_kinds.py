"""Each kind of field: what a cell may hold, what is refused, and that what is shown can be read back."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tunesmith.data.kinds.audio import open_audio
from tunesmith.data.kinds.mask import open_mask
from tunesmith.data.kinds.table import KINDS
from tunesmith.data.map.columns import choose_shape
from tunesmith.data.map.kind import Cell
from tunesmith.data.map.normalise import BadRow, comparable
from tunesmith.errors import UserError
from tunesmith.recipe.schema.data import Rows
from tunesmith.recipe.tasks.spec import Field, RowSchema

LETTERS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))
NAMES = st.text(LETTERS, min_size=1, max_size=8).map(comparable).filter(bool)


def read(kind: str, value, folder=None, **others):
    """The value that a field `it` of a kind has where its column holds this."""
    schema = RowSchema((Field("it", kind),))
    row = {"it": value, **others}
    shape = choose_shape(Rows(source="x"), list(row), schema)
    return KINDS[kind].read(Cell(schema.inputs[0], shape, row, folder)).value


SPANS = [{"start": 0, "end": 3, "label": "NAME"}, {"start": 4, "end": 5, "label": "AGE"}]
THINGS = [{"box": [1.0, 2.0, 3.0, 4.0], "label": "cat"}]
READ = [
    ("text", " as it is ", " as it is "),
    ("text", 7, "7"),
    ("label", " two  words ", "two words"),
    ("label", True, "true"),
    ("number", "2.5", 2.5),
    ("labels", "b; a;b", ["a", "b"]),
    ("labels", ["b", "a"], ["a", "b"]),
    ("labels", '["b", 3]', ["3", "b"]),
    ("labels", "", []),
    ("labels", [], []),
    ("labels", np.array([2, 1]), ["1", "2"]),
    ("sequence", "a b  c", ["a", "b", "c"]),
    ("sequence", "[1, 2]", [1, 2]),
    ("sequence", [1, 2.5, "x"], [1, 2.5, "x"]),
    ("sequence", "[CLS] a", ["[CLS]", "a"]),
    ("spans", SPANS, SPANS),
    ("spans", json.dumps(SPANS[::-1]), SPANS),
    ("spans", [[4, 5, "AGE"], (0, 3, "NAME")], SPANS),
    ("spans", "", []),
    ("objects", THINGS, THINGS),
    ("objects", [{"bbox": [1, 2, 3, 4], "category_id": "cat"}], THINGS),
    ("objects", {"bbox": [[1, 2, 3, 4]], "category": ["cat"]}, THINGS),
    ("objects", json.dumps(THINGS), THINGS),
    ("objects", [], []),
    ("chat", "hello", [{"role": "user", "content": "hello"}]),
    ("chat", [{"role": "human", "content": "hello"}], [{"role": "user", "content": "hello"}]),
    ("audio", {"array": [0.0, 0.5], "sampling_rate": 8000}, {"array": [0.0, 0.5], "sampling_rate": 8000}),
]


@pytest.mark.parametrize(("kind", "cell", "value"), READ)
def test_a_cell_is_read(kind: str, cell, value) -> None:
    assert read(kind, cell) == value


REFUSED = [
    ("text", "  ", "empty", "`it` is empty"),
    ("text", ["a"], "malformed", "is a list, not text"),
    ("label", "", "empty", "`it` is empty"),
    ("number", "two", "malformed", "not a number"),
    ("number", math.nan, "malformed", "nan"),
    ("labels", None, "empty", "`it` is empty"),
    ("labels", "a;;b", "malformed", "blank label"),
    ("labels", 3, "malformed", "is a int, not a list"),
    ("labels", [["a"]], "malformed", "is a list, not text"),
    ("sequence", "", "empty", "`it` is empty"),
    ("sequence", ["a", ""], "malformed", "blank item"),
    ("sequence", [math.inf], "malformed", "inf"),
    ("spans", "here", "malformed", "not a list as JSON"),
    ("spans", None, "empty", "`it` is empty"),
    ("spans", [{"start": 0, "end": 2}], "malformed", "span 1 of `it` is not `{start, end, label}`"),
    ("spans", [[0, 0, "a"]], "malformed", "which holds no character"),
    ("spans", [[-1, 2, "a"]], "malformed", "begins at -1"),
    ("spans", [[0.5, 2, "a"]], "malformed", "not at whole numbers"),
    ("spans", [[0, 2, " "]], "malformed", "blank label"),
    ("objects", [{"box": [1, 2, 3], "label": "a"}], "malformed", "object 1 of `it` is not"),
    ("objects", [{"box": [1, 2, 0, 3], "label": "a"}], "malformed", "0 wide and 3 high"),
    ("objects", [{"box": [1, 2, math.nan, 3], "label": "a"}], "malformed", "nan"),
    ("objects", {"bbox": [[1, 2, 3, 4]], "category": []}, "malformed", "differ in length"),
    ("objects", ["cat"], "malformed", "object 1 of `it` is not"),
    ("image", "nowhere.png", "malformed", "does not exist"),
    ("mask", "nowhere.png", "malformed", "the it `"),
    ("audio", "nowhere.wav", "malformed", "the recording `"),
    ("audio", {"array": [0.0], "sampling_rate": 0}, "malformed", "`sampling_rate` 0"),
    ("audio", 7, "malformed", "not a recording"),
    ("chat", [{"role": "bard", "content": "hi"}], "malformed", "unknown role"),
]


@pytest.mark.parametrize(("kind", "cell", "reason", "words"), REFUSED)
def test_a_wrong_cell_is_told(kind: str, cell, reason: str, words: str) -> None:
    with pytest.raises(BadRow) as told:
        read(kind, cell)
    assert told.value.reason == reason
    assert words in told.value.detail


VALUES = {
    "label": NAMES,
    "number": st.floats(-1e18, 1e18),
    "labels": st.lists(NAMES, unique=True).map(sorted),
    "sequence": st.lists(NAMES | st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6), min_size=1),
    "spans": st.lists(
        st.tuples(st.integers(0, 99), st.integers(1, 99), NAMES).map(
            lambda one: {"start": one[0], "end": one[0] + one[1], "label": one[2]}
        )
    ).map(lambda spans: sorted(spans, key=lambda one: (one["start"], one["end"], one["label"]))),
    "objects": st.lists(
        st.builds(
            lambda box, label: {"box": box, "label": label},
            st.lists(st.floats(0.5, 1e6), min_size=4, max_size=4),
            NAMES,
        )
    ),
}


@pytest.mark.parametrize("kind", VALUES)
def test_what_is_shown_can_be_read_back(kind: str) -> None:
    @given(VALUES[kind])
    def there_and_back(value) -> None:
        assert read(kind, KINDS[kind].show(value)) == value
        assert read(kind, json.loads(json.dumps(value))) == value

    there_and_back()


@pytest.mark.parametrize("kind", ["labels", "objects"])
def test_an_order_that_means_nothing_changes_no_key(kind: str) -> None:
    value = ["a", "b"] if kind == "labels" else [*THINGS, {"box": [1, 2, 3, 4], "label": "dog"}]
    spelled = {KINDS[kind].spell(read(kind, one), comparable) for one in (value, value[::-1])}
    assert len(spelled) == 1


def test_a_mask_is_class_ids(tmp_path) -> None:
    ids = np.array([[0, 1], [2, 255]], dtype=np.uint8)
    Image.fromarray(ids).save(tmp_path / "mask.png")
    found = read("mask", "mask.png", tmp_path)
    assert found == str(tmp_path / "mask.png")
    assert open_mask(found).tolist() == ids.tolist()
    assert open_mask(ids.tolist()).tolist() == ids.tolist()
    palette = Image.fromarray(ids).convert("P")
    palette.save(tmp_path / "palette.png")
    assert open_mask(str(tmp_path / "palette.png")).shape == (2, 2)
    for picture, words in ((Image.new("RGB", (2, 2)), "one channel"), (np.zeros((2, 2, 3)), "whole numbers")):
        with pytest.raises(ValueError, match=words):
            open_mask(picture)
    Image.fromarray(ids).save(tmp_path / "mask.jpg")
    with pytest.raises(ValueError, match="keeps class ids"):
        open_mask(str(tmp_path / "mask.jpg"))


def test_a_recording_is_decoded(tmp_path) -> None:
    soundfile = pytest.importorskip("soundfile")
    tone = np.sin(np.arange(800) / 9).astype(np.float32) / 2
    soundfile.write(tmp_path / "a.wav", np.stack([tone, tone], axis=1), 8000, subtype="FLOAT")
    sound = open_audio(read("audio", "a.wav", tmp_path))
    assert (sound.rate, sound.samples.shape) == (8000, (800,))
    assert np.allclose(sound.samples, tone)
    assert np.allclose(open_audio((tmp_path / "a.wav").read_bytes()).samples, tone)
    assert KINDS["audio"].show({"array": tone, "sampling_rate": 8000}) == "a recording, 0.10 s"
    (tmp_path / "b.wav").write_bytes(b"no sound")
    with pytest.raises(ValueError, match="damaged, or in no format"):
        open_audio(str(tmp_path / "b.wav"))
    with pytest.raises(ValueError, match="finite samples"):
        open_audio({"array": [math.nan], "sampling_rate": 1})


def test_without_the_package_for_recordings_its_command_is_named(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(UserError, match=r"pip install 'tunesmith\[audio\]'"):
        open_audio(b"RIFF")

"""What is drawn of a row, field by field."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tunesmith.data.kinds.table import drawings_of
from tunesmith.data.row import Row
from tunesmith.recipe.tasks.spec import Field, RowSchema


def drawn(values: dict, **kinds: str) -> dict:
    return drawings_of(Row("r", values, RowSchema(tuple(Field(name, kind) for name, kind in kinds.items()))))


def opened(drawing) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(drawing.picture.partition(",")[2])))


def test_a_picture_is_made_small_and_a_small_one_kept(tmp_path) -> None:
    large = tmp_path / "large.png"
    Image.new("RGB", (960, 480), "red").save(large)
    found = drawn({"photo": str(large)}, photo="image")["photo"]
    assert (found.width, found.height) == (240, 120)
    assert found.picture.startswith("data:image/jpeg;base64,")
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    small = drawn({"photo": pixels}, photo="image")["photo"]
    assert np.array_equal(np.asarray(opened(small)), pixels)


def test_boxes_stand_on_their_picture(tmp_path) -> None:
    Image.new("RGB", (480, 480)).save(tmp_path / "a.png")
    things = [{"box": [10.0, 20.0, 100.0, 200.0], "label": "cat"}]
    found = drawn({"photo": str(tmp_path / "a.png"), "seen": things}, photo="image", seen="objects")
    assert list(found) == ["seen"], "the picture is part of it"
    assert found["seen"].boxes == ((5.0, 10.0, 50.0, 100.0, "cat"),)
    assert found["seen"].picture


def test_classes_of_pixels_have_colours_of_their_own() -> None:
    found = drawn({"parts": [[0, 1], [2, 1]]}, parts="mask")["parts"]
    colours = np.asarray(opened(found).convert("RGB")).reshape(4, 3).tolist()
    assert colours[0] == [0, 0, 0]
    assert colours[1] == colours[3] != colours[2]


@pytest.mark.parametrize(
    ("spans", "marks"),
    [
        ([(0, 3, "A"), (8, 9, "B")], (("Ann", "A"), (" met ", ""), ("B", "B"), ("o.", ""))),
        ([(0, 3, "A"), (1, 7, "B")], (("Ann", "A"), (" met Bo.", ""))),
        ([], (("Ann met Bo.", ""),)),
    ],
)
def test_text_is_marked(spans, marks) -> None:
    places = [dict(zip(("start", "end", "label"), span, strict=True)) for span in spans]
    found = drawn({"body": "Ann met Bo.", "names": places}, body="text", names="spans")
    assert found["names"].marks == marks


def test_long_text_is_cut_and_says_so() -> None:
    found = drawn({"body": "a" * 5000, "names": []}, body="text", names="spans")
    assert found["names"].marks == (("a" * 600 + "…", ""),)


def test_a_recording_is_a_curve() -> None:
    found = drawn({"said": {"array": np.sin(np.arange(4000)), "sampling_rate": 8000}}, said="audio")["said"]
    assert len(found.curve) == 200
    assert max(map(abs, found.curve)) <= 1


def test_what_cannot_be_opened_is_left_out(tmp_path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert drawn({"photo": str(tmp_path / "a.png"), "mood": "good"}, photo="image", mood="label") == {}

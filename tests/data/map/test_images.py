"""Pictures: seen as their owner sees them, from wherever they come, and never handed to another program."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tunesmith.data.map import images
from tunesmith.data.map.images import open_picture, picture_of
from tunesmith.data.map.normalise import BadRow
from tunesmith.data.read.rows import read_rows
from tunesmith.errors import UserError
from tunesmith.recipe.schema.data import Rows
from tunesmith.recipe.tasks.vision import IMAGE_CLASSIFICATION

IMAGES = IMAGE_CLASSIFICATION.row_schema
RAMP = np.tile(np.linspace(0, 255, 16), (16, 1)).astype(np.uint8)


def packed(image: Image.Image, kind: str = "PNG", **settings) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **settings)
    return out.getvalue()


def seen(value) -> np.ndarray:
    return np.asarray(open_picture(value).image).astype(int)


def turned() -> bytes:
    picture = Image.fromarray(RAMP.T.copy()).convert("RGB")
    mark = picture.getexif()
    mark[0x0112] = 6
    return packed(picture, "JPEG", exif=mark, quality=95)


def test_a_mark_of_orientation_is_followed_wherever_the_picture_comes_from(tmp_path, write) -> None:
    import datasets

    Path(tmp_path / "p.jpg").write_bytes(turned())
    made = datasets.Dataset.from_dict(
        {"image": [{"bytes": turned(), "path": None}]},
        features=datasets.Features({"image": datasets.Image()}),
    )
    made.to_parquet(f"{tmp_path}/p.parquet")
    made.save_to_disk(f"{tmp_path}/saved")
    folder = tmp_path / "folder" / "train" / "cat"
    folder.mkdir(parents=True)
    (folder / "1.jpg").write_bytes(turned())
    values = [
        str(tmp_path / "p.jpg"),
        turned(),
        {"bytes": turned(), "path": None},
        {"bytes": None, "path": str(tmp_path / "p.jpg")},
        Image.open(io.BytesIO(turned())),
        *(
            read_rows(Rows(source=f"{tmp_path}/{name}")).rows[0].columns["image"]
            for name in ("p.parquet", "saved", "folder")
        ),
    ]
    upright = np.asarray(Image.open(io.BytesIO(turned())).convert("RGB")).astype(int)
    upright = np.rot90(upright, -1)
    for value in values:
        assert np.abs(seen(value) - upright).max() <= 2, value


@pytest.mark.parametrize("drawn", [0, 255, 120])
def test_a_drawing_in_transparency_can_be_seen_whatever_its_colour(drawn) -> None:
    plain = Image.fromarray(np.full((16, 16), drawn, np.uint8))
    alpha = Image.fromarray(RAMP)
    for picture in (
        Image.merge("RGBA", (plain, plain, plain, alpha)),
        Image.merge("LA", (plain, alpha)),
    ):
        found = open_picture(packed(picture))
        assert found.notes
        values = np.asarray(found.image).astype(int)[0, :, 0]
        assert np.ptp(values) >= 100
        assert list(np.sort(values)) in (list(values), list(values[::-1]))


def test_a_palette_with_a_transparent_colour_and_one_colour_that_means_transparent() -> None:
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.putpixel((0, 0), 1)
    assert seen(packed(picture, transparency=0))[3, 3].tolist() == [255, 255, 255]
    grey = Image.fromarray(np.array([[0, 9]], np.uint8))
    assert seen(packed(grey, transparency=0))[0].tolist() == [[255] * 3, [9] * 3]


def test_full_opacity_changes_nothing() -> None:
    colours = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    opaque = Image.fromarray(colours).convert("RGBA")
    assert open_picture(packed(opaque)).notes == ()
    assert np.array_equal(seen(packed(opaque)), colours)


def test_sixteen_bits_become_eight_and_are_not_cut_off() -> None:
    wide = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    for kind in ("PNG", "TIFF"):
        assert np.array_equal(
            seen(packed(Image.fromarray(wide), kind))[..., 0], np.arange(256).reshape(16, 16)
        )
    with pytest.raises(ValueError, match="fractions"):
        open_picture(Image.fromarray(np.ones((4, 4), np.float32)))
    with pytest.raises(ValueError, match="more than 16 bits"):
        open_picture(Image.fromarray(np.full((4, 4), 70_000, np.int32)))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr"])
def test_every_usual_mode_shows_the_same_picture(mode) -> None:
    ramp = Image.fromarray((RAMP > 127).astype(np.uint8) * 255).convert("RGB")
    kind = "PNG" if mode in {"1", "L", "P", "RGB"} else "JPEG"
    settings = {} if kind == "PNG" else {"quality": 100}
    assert (
        np.abs(seen(packed(ramp.convert(mode), kind, **settings)) - np.asarray(ramp).astype(int)).max() < 40
    )


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_several_is_seen_and_said(kind) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    found = open_picture(packed(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert "first one" in found.notes[-1]
    assert np.asarray(found.image)[0, 0, 0] > 200


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n%%EndComments\n0 0 16 16 rectfill\n%%EOF\n"


def foreign() -> dict[str, bytes]:
    """Formats of which Pillow knows more than it should, under the name of a picture."""
    small = Image.new("RGB", (16, 16))
    some = {kind: packed(small, kind) for kind in ("PCX", "TGA", "ICO", "PDF", "SGI")}
    return {"EPS": POSTSCRIPT, "nothing": b"no picture", "void": b"", **some}


@pytest.mark.parametrize("kind", [*foreign()])
def test_other_formats_start_no_program(tmp_path, monkeypatch, kind) -> None:
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/started\nexit 1\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "odd.png").write_bytes(foreign()[kind])
    for value in (str(tmp_path / "odd.png"), foreign()[kind], {"bytes": foreign()[kind], "path": "a.png"}):
        with pytest.raises(ValueError, match="no format that is read"):
            open_picture(value)
    assert not (tmp_path / "started").exists()


def test_a_picture_that_somebody_else_opened_in_another_format() -> None:
    with pytest.raises(ValueError, match="format EPS"):
        open_picture(Image.open(io.BytesIO(POSTSCRIPT)))


def bomb(side: int) -> bytes:
    """A PNG of a few kilobytes that says it has side x side pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_bomb_is_refused_before_it_is_unpacked(side, recwarn) -> None:
    with pytest.raises(ValueError, match="larger than"):
        open_picture(bomb(side))
    assert not recwarn.list


def test_damaged_pictures_of_every_kind_are_told_as_such() -> None:
    whole = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8))
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"):
        raw = packed(whole, kind)
        for cut in (1, 20, len(raw) // 2):
            with pytest.raises(ValueError, match=r".+"):
                open_picture(raw[:cut])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("https://example.org/a.png", "address"),
        ("gone.png", "does not exist"),
        ({"bytes": "text", "path": None}, "not bytes"),
        ({"bytes": None, "path": None}, "empty"),
        ({"bytes": b"", "path": None}, "empty"),
        ({"bytes": [1, 2], "path": None}, "not bytes"),
        ([["x"]], "can be read"),
        ("\0", "does not exist"),
        ("x" * 5000, "no path"),
    ],
)
def test_values_that_are_no_picture(tmp_path, value, words) -> None:
    with pytest.raises(BadRow, match=words):
        picture_of(value, tmp_path)


def test_files_without_an_end_are_not_read(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(images, "MOST_BYTES", 1000)
    (tmp_path / "a.png").write_bytes(bytes(1001))
    with pytest.raises(BadRow, match="at most"):
        picture_of("a.png", tmp_path)
    with pytest.raises(BadRow, match="at most"):
        picture_of(bytes(1001), tmp_path)


def test_a_list_may_name_pictures_anywhere_and_a_folder_only_its_own(tmp_path, write, load) -> None:
    inside = tmp_path / "set"
    inside.mkdir()
    Image.fromarray(RAMP).save(tmp_path / "out.png")
    Image.fromarray(RAMP.T.copy()).save(inside / "in.png")
    (inside / "link.png").symlink_to(tmp_path / "out.png")
    for name in ("../out.png", str(tmp_path / "out.png"), "link.png"):
        assert picture_of(name, inside).endswith(name.lstrip("./"))
        with pytest.raises(BadRow, match="leads out"):
            picture_of(name, inside, (inside,))
    assert picture_of("in.png", inside, (inside,)) == str(inside / "in.png")


def test_equal_pictures_stand_on_one_side_of_a_split(write, load) -> None:
    raw = [packed(Image.fromarray(np.full((4, 4), n // 3, np.uint8))) for n in range(60)]
    for n, one in enumerate(raw):
        write(f"{n}.png", one)
    rows = [{"image": f"{n}.png", "label": "ab"[n % 2]} for n in range(60)]
    loaded = load({"source": write("d.jsonl", rows)}, needs=IMAGES, eval={"holdout": 12})
    shown = [{Path(row.fields["image"]).read_bytes() for row in part} for part in (loaded.train, loaded.eval)]
    assert shown[0].isdisjoint(shown[1])
    assert loaded.report.to_dict()["dropped"]["leakage"] == 0


def test_a_broken_picture_in_a_folder_does_not_end_the_reading_of_it(tmp_path) -> None:
    for label in ("a", "b"):
        (tmp_path / "set" / "train" / label).mkdir(parents=True)
        Image.fromarray(RAMP).save(tmp_path / "set" / "train" / label / "0.PNG")
        (tmp_path / "set" / "train" / label / "1.png").write_bytes(b"no picture")
        for odd in (".DS_Store", "Thumbs.db", "._1.png"):
            (tmp_path / "set" / "train" / label / odd).write_bytes(b"\x00\x05\x16\x07")
    raw = read_rows(Rows(source=f"{tmp_path}/set"))
    assert sorted(Path(row.columns["image"]["path"]).name for row in raw.rows) == [
        "0.PNG",
        "0.PNG",
        "1.png",
        "1.png",
    ]
    assert {row.columns["label"] for row in raw.rows} == {"a", "b"}


def test_zip_archives_in_a_folder_of_pictures_are_not_unpacked(tmp_path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("cat/1.png", packed(Image.fromarray(RAMP)))
    (tmp_path / "set").mkdir()
    (tmp_path / "a.zip").rename(tmp_path / "set" / "a.zip")
    with pytest.raises(UserError, match=r"archive|not a data set"):
        read_rows(Rows(source=f"{tmp_path}/set"))

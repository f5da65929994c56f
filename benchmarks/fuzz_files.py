"""Places of rows that an enemy or an accident made: bombs, archives, pictures, odd names, encodings, folders.

From a seed. Bombs are a few kilobytes that unpack to gigabytes; who reads them has 2 GiB of memory.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fuzz_recipes import base
from fuzz_rows import good_row, parquet_of, table_of

MEMORY = 2 << 30
"""Bytes that a case may map beside what the program has mapped before it."""
ENDINGS = (".gz", ".bz2", ".xz", ".zst")
NAMES = [
    "rows {}.jsonl",
    "-rows.jsonl",
    "'rows\".jsonl",
    "rows\n.jsonl",
    "[rows]*.jsonl",
    "%s%(x)s.jsonl",
    "$(touch x).jsonl",
    "caf\u00e9.jsonl",
    "cafe\u0301.jsonl",
    "\u202elnosj.jsonl",
    "\x1b[31m.jsonl",
    "#!;&|.jsonl",
    "x" * 240 + ".jsonl",
    "ROWS.JSONL",
    "rows.jsonl.jsonl",
    ".jsonl",
    "rows:1.jsonl",
    "~rows.jsonl",
    "{question}.jsonl",
    b"\xff\xfe.jsonl".decode("utf-8", "surrogateescape"),
]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "gb18030", "utf-7"]
CARDS = [
    "../rows.jsonl",
    "/etc/passwd",
    "https://localhost:1/a.csv",
    "file:///etc/passwd",
    "**",
    "*",
    "[",
    "zip://x::y.zip",
]


def packed(ending: str, raw: bytes) -> bytes:
    import pyarrow

    if ending == ".zst":
        return bytes(pyarrow.compress(raw, codec="zstd", asbytes=True))
    return {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[ending](raw)


def good_lines(count: int = 24) -> str:
    return "".join(json.dumps(good_row(index)) + "\n" for index in range(count))


def damaged(draw: random.Random, raw: bytes) -> bytes:
    """The bytes, now and then cut short or with one of them exchanged."""
    if draw.random() < 0.5 or len(raw) < 2:
        return raw
    at = draw.randrange(len(raw))
    return raw[:at] if draw.random() < 0.5 else raw[:at] + bytes([draw.randrange(256)]) + raw[at + 1 :]


def an_archive_of_rows(draw: random.Random, folder: Path) -> str:
    ending = draw.choice(ENDINGS)
    kind = draw.choice(["jsonl", "csv", "json"])
    rows = [good_row(index) for index in range(24)]
    text = {"jsonl": good_lines(), "csv": table_of(draw, rows, ","), "json": json.dumps(rows)}[kind]
    raw = damaged(draw, packed(ending, text.encode("utf-8", "replace")))
    if draw.random() < 0.2:
        raw = packed(ending, raw)  # packed twice
    named = draw.choice([ending, ending, ending, draw.choice(ENDINGS)])
    (folder / f"rows.{kind}{named}").write_bytes(raw)
    return f"./rows.{kind}{named}"


def a_bomb(draw: random.Random, folder: Path) -> str:
    """Parts that are packed once and stand there many times, as every one of these formats allows."""
    ending, kind = draw.choice(ENDINGS), draw.choice(["jsonl", "json", "csv", "txt"])
    row = json.dumps({**good_row(0), "question": "x" * (1 << 20)}).encode() + b"\n"
    part = draw.choice(
        [
            row * 8,
            b"x" * (8 << 20),
            b"\n" * (8 << 20),
            b"{}\n" * (2 << 20),
            b'"' * (8 << 20),
            b"[" * (8 << 20),
        ]
    )
    start = packed(ending, draw.choice([b"", good_lines().encode(), b"[", b"question,kind\n"]))
    (folder / f"bomb.{kind}{ending}").write_bytes(start + packed(ending, part) * 128)
    return f"./bomb.{kind}{ending}"


def a_parquet_bomb(draw: random.Random, folder: Path) -> str:
    import pyarrow
    import pyarrow.parquet

    long = draw.choice(
        [
            "x" * (1 << 20),
            b"x" * (1 << 20),
            ["x" * (1 << 20)],
            [0] * (1 << 17),
            {"bytes": b"x" * (1 << 20), "path": None},
        ]
    )
    column = draw.choice(["question", "picture", "kind", "messages"])
    index = pyarrow.array([0] * draw.choice([100, 4000]))
    if isinstance(long, str | bytes):
        values = pyarrow.array([long]).dictionary_encode().take(index)
    else:
        values = pyarrow.array([long]).take(pyarrow.array([0] * 200))
    columns: dict[str, Any] = {name: [good_row(i)[name] for i in range(len(values))] for name in good_row(0)}
    pyarrow.parquet.write_table(
        pyarrow.table({**columns, column: values}), folder / "bomb.parquet", compression="zstd"
    )
    return "./bomb.parquet"


def a_tar(draw: random.Random, folder: Path) -> str:
    inside = draw.choice(
        ["rows.jsonl", "../../rows.jsonl", "/tmp/own-rows.jsonl", "0.png", "0.pth", "0.json"]
    )
    out = io.BytesIO()
    if draw.random() < 0.5:
        with tarfile.open(fileobj=out, mode="w") as archive:
            member = tarfile.TarInfo(inside)
            member.size = len(good_lines())
            archive.addfile(member, io.BytesIO(good_lines().encode()))
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "../.."
            archive.addfile(link)
        ending = draw.choice(["tar", "tar.gz", "tgz", "jsonl"])
    else:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(inside, good_lines() if draw.random() < 0.5 else bytes(64 << 20))
        ending = draw.choice(["zip", "jsonl", "parquet"])
    (folder / "set").mkdir()
    (folder / "set" / f"rows.{ending}").write_bytes(damaged(draw, out.getvalue()))
    return draw.choice(["./set", f"./set/rows.{ending}"])


def odd_picture(draw: random.Random) -> bytes:
    from PIL import Image

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    if draw.random() < 0.25:
        side = draw.choice([0, 1, 10_000, 60_000, 2**31 - 1])
        head = struct.pack(
            ">IIBBBBB", side, draw.choice([1, side]), draw.choice([8, 16]), draw.choice([0, 2, 6]), 0, 0, 0
        )
        data = zlib.compress(bytes(1 << 22), 9)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    if draw.random() < 0.2:
        return draw.choice(
            [b"", b"x", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"<svg/>", b"GIF89a"]
        )
    mode = draw.choice(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
    kind = draw.choice(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "ICO", "PCX"])
    image, out = Image.new(mode, (draw.choice([1, 9, 300]), 9)), io.BytesIO()
    try:
        image.save(out, kind, **({"exif": b"Exif\x00\x00MM\x00*\xff"} if draw.random() < 0.2 else {}))
    except (OSError, ValueError, KeyError, struct.error):  # not every format has every mode
        image.convert("RGB").save(out, "PNG")
    return damaged(draw, out.getvalue())


def some_pictures(draw: random.Random, folder: Path) -> str:
    way = draw.choice(["list", "folder", "metadata", "parquet"])
    pictures = [odd_picture(draw) for _ in range(12)]
    if way == "parquet":
        rows = [{**good_row(i), "picture": {"bytes": raw, "path": None}} for i, raw in enumerate(pictures)]
        (folder / "rows.parquet").write_bytes(parquet_of(rows))
        return "./rows.parquet"
    top = folder / "set"
    for index, raw in enumerate(pictures):
        place = top / f"k{index % 2}" if way == "folder" else top
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{index}{draw.choice(['.png', '.PNG', '.jpg', '.gif'])}").write_bytes(raw)
        (place / draw.choice([".DS_Store", "Thumbs.db", "._0.png"])).write_bytes(b"\x00\x05")
    files = [
        *(path.name for path in top.glob("*.*")),
        "../case.yaml",
        "/dev/zero",
        "gone.png",
        "https://localhost:1/x",
    ]
    name = "picture" if way == "list" else "file_name"
    lines = [{**good_row(i), name: draw.choice(files)} for i in range(12)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    if way == "metadata":
        (top / "metadata.jsonl").write_text(text, encoding="utf-8")
    if way == "list":
        (top / "rows.jsonl").write_text(text, encoding="utf-8")
    return "./set/rows.jsonl" if way == "list" else "./set"


def an_odd_name(draw: random.Random, folder: Path) -> str:
    name = draw.choice(NAMES)
    (folder / name).write_text(good_lines(), encoding="utf-8")
    return draw.choice([f"./{name}", f"./{name}", name, "./*.jsonl", f"./{name[:3]}*"])


def an_encoding(draw: random.Random, folder: Path) -> str:
    text = good_lines().replace("what", draw.choice(["gr\u00fc\u00dfe", "what", "\u65e5\u672c", "\u2028"]))
    raw = text.encode(draw.choice(ENCODINGS), "replace")
    (folder / "rows.jsonl").write_bytes(draw.choice([raw, raw, raw[:-1], b"\xef\xbb\xbf" + raw]))
    return "./rows.jsonl"


def an_odd_folder(draw: random.Random, folder: Path) -> str:
    top = folder / "set"
    top.mkdir()
    (top / draw.choice(["train.jsonl", "rows.jsonl", "a.csv"])).write_text(good_lines(), encoding="utf-8")
    odd = draw.choice(CARDS)
    card = draw.choice(
        [
            f"configs:\n- config_name: default\n  data_files: {json.dumps(odd)}\n",
            "configs: [",
            "configs: 5",
            f"configs: [{{data_dir: {json.dumps(odd)}}}]",
        ]
    )
    state = json.dumps({"_data_files": [{"filename": odd}], "splits": [odd]})
    extra: dict[str, Callable[[], Any]] = {
        "card": lambda: (top / "README.md").write_text(f"---\n{card}\n---\n", encoding="utf-8"),
        "yaml": lambda: (top / ".huggingface.yaml").write_text(card, encoding="utf-8"),
        "state": lambda: (top / draw.choice(["state.json", "dataset_dict.json"])).write_text(
            state, encoding="utf-8"
        ),
        "infos": lambda: (top / "dataset_infos.json").write_text(
            draw.choice(["{}", "[", state]), encoding="utf-8"
        ),
        "link": lambda: (top / "test.jsonl").symlink_to(
            draw.choice(["/etc/passwd", "..", "nowhere", "test.jsonl"])
        ),
        "pipe": lambda: os.mkfifo(top / "valid.jsonl"),
        "deep": lambda: (top / "a" / "b").mkdir(parents=True),
        "more": lambda: (top / "more.parquet").write_bytes(damaged(draw, parquet_of([good_row(0)] * 9))),
    }
    for name in draw.sample(list(extra), draw.choice([1, 1, 2, 3])):
        extra[name]()
    return draw.choice(["./set", "./set/*", "./set/**", "./*/*.jsonl"])


KINDS = (
    an_archive_of_rows,
    a_bomb,
    a_parquet_bomb,
    a_tar,
    some_pictures,
    an_odd_name,
    an_encoding,
    an_odd_folder,
)


def a_place(seed: int, folder: Path) -> bytes:
    """Write what a seed stands for into the folder, and give the recipe that names it."""
    draw = random.Random(f"files {seed}")
    make = KINDS[seed % len(KINDS)]
    recipe = base(draw)
    while make is some_pictures and recipe["task"] != "image-classification":
        recipe = base(draw)
    train = recipe["data"]["train"]
    train["source"] = make(draw, folder)
    if make is an_encoding and draw.random() < 0.7:
        train["encoding"] = draw.choice([*ENCODINGS, "nothing", "hex", ""])
    if make is some_pictures and train["source"] == "./set":
        train["image"] = "image"
        train["label"] = "kind" if (folder / "set" / "metadata.jsonl").exists() else "label"
    if draw.random() < 0.3:
        train[draw.choice(["limit", "first"])] = draw.choice([1, 5, 10**9])
    recipe["data"]["clean"] = {
        "malformed": draw.choice(["drop", "error"]),
        "duplicates": "keep",
        "leakage": "keep",
    }
    recipe["data"]["overflow"] = draw.choice(["drop", "truncate"])
    return json.dumps(recipe, indent=1).encode()

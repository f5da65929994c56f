"""Files of rows of which most are wrong, in every format that is read; from a seed."""

from __future__ import annotations

import csv
import io
import json
import random
from typing import Any

from fuzz_recipes import TASKS, base

FORMATS = ("jsonl", "json", "csv", "tsv", "txt", "parquet")
VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1e308,
    float("nan"),
    float("inf"),
    10**400,
    "",
    " ",
    "\t",
    "\x00",
    "\ufeff",
    "\ud800",
    "😀" * 3,
    "\u202eabc",
    "a\r\nb",
    "x " * 400,
    "<|end|>",
    "<|pad|><|assistant|>",
    "{question}",
    "{{ 7 * 7 }}",
    "../../etc/passwd",
    "/dev/null",
    "rows.jsonl",
    "nan",
    "1,5",
    "١٢",
    "0x10",
    [],
    {},
    [1, 2, 3],
    [[0, 0], [0, 0]],
    [[256, -1], [0.5, "x"]],
    [[[0] * 3] * 4] * 4,
    {"role": "user", "content": "x"},
    [{"role": "user", "content": "x"}],
    [{"role": "user"}, {"content": 1}],
    [{"role": "god", "content": "x"}, {"role": "assistant", "content": "y"}],
    [{"role": "assistant", "content": "y"}, {"role": "assistant", "content": ""}],
    [{"from": "human", "value": "x"}, {"from": "gpt", "value": None}],
]
LINES = [
    "",
    " ",
    "{",
    "null",
    "[]",
    "1",
    '"x"',
    '{"question": }',
    "{'question': 'x'}",
    "[" * 5000,
    "\x00",
    "NaN",
]
LINES += [
    '{"question": "x"',
    '{"question": "a", "question": 5}',
    '{"a": 1e999}',
    '"',
    'a,"b',
    "\\",
    "# x",
    "---",
]


def good_row(index: int) -> dict[str, Any]:
    return {
        "question": f"what is {index}?",
        "answer": f"it is {index}",
        "kind": f"k{index % 2}",
        "number": index / 2,
        "picture": [[(index * 31 + x * y) % 256 for x in range(8)] for y in range(8)],
        "messages": [{"role": "user", "content": f"q{index}"}, {"role": "assistant", "content": f"a{index}"}],
    }


def bad_row(draw: random.Random, index: int) -> dict[str, Any]:
    """A good row with one or more of its values exchanged, or gone."""
    row = good_row(index)
    for key in draw.sample(list(row), draw.choice([1, 1, 2, 4])):
        if draw.random() < 0.15:
            del row[key]
        else:
            row[key] = draw.choice(VALUES)
    if draw.random() < 0.1:
        row[draw.choice(["", "id", "a.b", "{x}", "\x00"])] = draw.choice(VALUES)
    return row


def as_bytes(draw: random.Random, text: str) -> bytes:
    raw = text.encode("utf-8", "surrogatepass")
    if draw.random() < 0.3 and raw:
        at = draw.randrange(len(raw))
        raw = (
            raw[:at]
            + draw.choice([b"\xff", b"\xc3", b"\x00", b"\r", b"\xf0\x9f", b"\xef\xbb\xbf"])
            + raw[at:]
        )
    return raw


def lines_of(draw: random.Random, rows: list[dict[str, Any]]) -> str:
    lines = [json.dumps(row, ensure_ascii=draw.random() < 0.5) for row in rows]
    for index in range(len(lines)):
        if draw.random() < 0.2:
            lines[index] = draw.choice([*LINES, lines[index][: len(lines[index]) // 2], lines[index] + "}"])
    return draw.choice(["\n", "\n", "\n", "\r\n"]).join(lines) + draw.choice(["", "\n"])


def table_of(draw: random.Random, rows: list[dict[str, Any]], separator: str) -> str:
    names = ["question", "answer", "kind", "number", "picture", "messages"]
    out = io.StringIO()
    if separator == "\t":
        out.write("\t".join(names) + "\n")
        out.writelines("\t".join(str(row.get(name, "")) for name in names) + "\n" for row in rows)
    else:
        writer = csv.writer(out)
        writer.writerow(names)
        writer.writerows([str(row.get(name, "")) for name in names] for row in rows)
    lines = out.getvalue().split("\n")
    for index in range(1, len(lines)):
        if draw.random() < 0.15:
            lines[index] = draw.choice([*LINES, lines[index] + separator + "more", separator.join("ab")])
    return "\n".join(lines)


def parquet_of(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    out = pyarrow.BufferOutputStream()
    columns: dict[str, list[Any]] = {}
    for name in ("question", "answer", "kind", "number", "picture", "messages"):
        values = [row.get(name) for row in rows]
        try:
            pyarrow.array(values)
        except (pyarrow.ArrowException, OverflowError, UnicodeError):
            values = [repr(value).encode("ascii", "replace").decode() for value in values]
        columns[name] = values
    pyarrow.parquet.write_table(pyarrow.table(columns), out)
    return bytes(out.getvalue().to_pybytes())


def rows_file(draw: random.Random, kind: str, rows: list[dict[str, Any]]) -> bytes:
    if kind == "parquet":
        raw = parquet_of(rows)
        return raw if draw.random() < 0.8 else raw[: draw.randrange(len(raw))]
    if kind == "json":
        text = json.dumps([row if draw.random() < 0.9 else draw.choice(VALUES) for row in rows])
        return as_bytes(draw, text if draw.random() < 0.8 else text[: draw.randrange(len(text))])
    if kind in ("csv", "tsv"):
        return as_bytes(draw, table_of(draw, rows, "," if kind == "csv" else "\t"))
    return as_bytes(draw, lines_of(draw, rows))


def some_rows(seed: int, malformed: int = 10) -> tuple[bytes, str, bytes]:
    """A recipe, the name of its file of rows, and that file: some good rows and ``malformed`` others."""
    draw = random.Random(f"rows {seed}")
    recipe, kind = base(draw), draw.choice(FORMATS)
    train = recipe["data"]["train"]
    train["source"] = f"./rows.{kind}"
    if kind == "txt":
        train["pattern"] = r"(?P<question>\S+) (?P<answer>\S+) (?P<kind>\S+) (?P<number>\S+) (?P<picture>.*)"
    if recipe["task"] == "causal-lm" and draw.random() < 0.4:
        train = {"source": train["source"], draw.choice(["messages", "conversations"]): "messages"}
        recipe["data"]["train"] = train
    strict = draw.random() < 0.35
    recipe["data"]["clean"] = {
        "malformed": "error" if strict else "drop",
        "empty": "error" if strict else "drop",
    }
    recipe["data"]["overflow"] = draw.choice(["drop", "truncate", "error"])
    rows = [good_row(index) for index in range(12)]
    rows += [bad_row(draw, index) for index in range(12, 12 + malformed)]
    draw.shuffle(rows)
    assert recipe["task"] in TASKS
    return json.dumps(recipe, indent=1).encode(), f"rows.{kind}", rows_file(draw, kind, rows)

from __future__ import annotations

import re

from tunesmith.cli.preview import render, visible

ROWS = [
    {
        "id": "rows.jsonl:1",
        "tokens": [
            ["<|im_start|>", False],
            ["user\n", False],
            [" hi", False],
            ["\tyes", True],
            [" \n", True],
        ],
    },
    {"id": "rows.jsonl:2", "tokens": [["x", False]]},
]


def test_without_colour_loss_stands_in_brackets():
    text = render(ROWS, colour=False)
    assert "\x1b" not in text
    legend, first, second = text.split("\n\n")
    assert "[carries][·loss]" in legend
    assert first == "rows.jsonl:1: 5 tokens, 2 carry loss\n<|im_start|>user⏎\n·hi[→yes][·⏎]"
    assert second == "rows.jsonl:2: 1 tokens, 0 carry loss (nothing to learn from)\nx"


def test_with_colour_the_text_is_the_same_and_neighbours_differ():
    text = render(ROWS, colour=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", text).split("\n\n")[1] == (
        "rows.jsonl:1: 5 tokens, 2 carry loss\n<|im_start|>user⏎\n·hi→yes·⏎"
    )
    styles = re.findall(r"\x1b\[([0-9;]+)m(?:→yes|·⏎)", text)
    assert len(set(styles)) == 2
    assert all(";4" in style or ";10" in style for style in styles)


def test_a_terminal_is_never_sent_what_a_row_holds():
    assert visible("a\x1b[31mb\x07") == "a\\x1b[31mb\\x07"
    assert visible("ü 😀") == "ü·😀"


def test_no_rows():
    assert render([], colour=False) == "there are no rows to show"

from __future__ import annotations

import io

import pytest

from tunesmith.cli.messages import guarded, is_speaker, show_error, wants_colour
from tunesmith.errors import UserError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "speaks"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0", "RANK": "4"}, True),
        ({"LOCAL_RANK": "1", "RANK": "1"}, False),
        ({"RANK": "3"}, False),
        ({"LOCAL_RANK": ""}, True),
    ],
)
def test_the_first_process_of_a_machine_speaks(environ: dict[str, str], speaks: bool):
    assert is_speaker(environ) is speaks


@pytest.mark.parametrize(
    ("stream", "environ", "colour"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(stream: io.StringIO, environ: dict[str, str], colour: bool):
    assert wants_colour(stream, environ) is colour


def test_colour_adds_nothing_but_colour(monkeypatch: pytest.MonkeyPatch):
    import re

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    error = UserError("bad `x`", "f.yaml:3:5", "write `y`", "  3 | a: x\n    |    ^^")
    plain, coloured = io.StringIO(), Terminal()
    show_error(error, plain)
    show_error(error, coloured)
    assert plain.getvalue() == "f.yaml:3:5: bad `x`\n  3 | a: x\n    |    ^^\nhint: write `y`\n"
    assert coloured.getvalue() != plain.getvalue()
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured.getvalue()) == plain.getvalue()


def test_only_the_user_s_mistakes_become_messages(capsys: pytest.CaptureFixture[str]):
    def user() -> int:
        raise UserError("bad")

    def ours() -> int:
        raise ValueError("ours")

    assert guarded(user) == 2
    assert capsys.readouterr().err == "bad\n"
    assert guarded(lambda: 75) == 75
    with pytest.raises(ValueError, match="ours"):
        guarded(ours)

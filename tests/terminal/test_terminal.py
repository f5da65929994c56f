"""Nothing that commands a terminal comes through, whatever pieces it comes in; words stay."""

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.cli.messages import Redacted
from tunesmith.errors import UserError
from tunesmith.terminal import drawing, drawn, log_lines, one_line, plain, printable

COMMANDS = {
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJmIC8=\x07",
    "clear": "\x1b[2J",
    "hide": "\x1b[8m",
    "C1": "\x9b31m",
    "device control": "\x1bP+q544e\x1b\\",
    "turned round": "\u202egpj.exe",
    "isolate": "\u2066x",
    "backspace": "safe\b\b\b\bevil",
    "bell": "\x07",
    "overwrites": "evil\rgood",
    "not seen": "a\u200bb",
    "tags": "a\U000e0041b",
    "surrogate": "\ud800",
    "line separator": "a\u2028b",
}
WORDS = ["Grüße, 你好", "می‌خواهم", "👩‍🔬", "tab\there", "line\nbreak", "é̀", "ا٠"]


def is_fit(text: str) -> bool:
    return all(
        c in "\t\n\u200c\u200d"
        or (unicodedata.category(c) not in ("Cc", "Cs") and c not in "\u202e\u2066\u2028")
        for c in text
    )


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_commands_do_not_come_through(command: str) -> None:
    for shown in (printable(command), one_line(command), plain(command)):
        assert is_fit(shown)
        assert shown != command
    assert is_fit(printable(str(UserError(command, command, command))))


@pytest.mark.parametrize("words", WORDS)
def test_words_stay(words: str) -> None:
    assert printable(words) == plain(words) == drawn(words) == words


@given(st.text(max_size=40))
def test_printable_is_a_fixed_point_and_keeps_what_is_printable(text: str) -> None:
    assert is_fit(printable(text))
    assert printable(printable(text)) == printable(text)
    assert "\n" not in one_line(text)
    if text.isprintable():
        assert printable(text) == text


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_stream_lets_none_out_in_any_pieces(command: str) -> None:
    for cut in range(len(command) + 1):
        out = io.StringIO()
        stream = Redacted(out)
        stream.write(command[:cut])
        stream.write(command[cut:])
        assert is_fit(out.getvalue().replace("\r", ""))


@pytest.mark.parametrize(
    "name", ["title", "link", "clipboard", "C1", "device control", "turned round", "bell"]
)
def test_what_draws_may_not_command_either(name: str) -> None:
    out = io.StringIO()
    drawing(Redacted(out)).write(f"\x1b[1;31mred\x1b[0m{COMMANDS[name]}\x1b[1A\x1b[2K\x1b[?25l")
    shown = out.getvalue()
    assert shown.startswith("\x1b[1;31mred\x1b[0m")
    assert shown.endswith("\x1b[1A\x1b[2K\x1b[?25l")
    assert is_fit(shown.removeprefix("\x1b[1;31mred\x1b[0m").removesuffix("\x1b[1A\x1b[2K\x1b[?25l"))


def test_bars_of_libraries_stay() -> None:
    out = io.StringIO()
    stream = Redacted(out)
    for piece in ("\r 10%|#  |", "\r 20%|## |", "\n", "\x1b[32mdone\x1b[0m\n"):
        stream.write(piece)
    assert out.getvalue() == "\r 10%|#  |\r 20%|## |\ndone\n"


def test_a_log_is_shown_as_a_terminal_would_leave_it() -> None:
    pieces = ["step 1\n\r 1", "0%\r 20%\r", "\n\x1b[3", "1mred\x1b[0m\x1b]0;x\x07\r\n", "last"]
    assert list(log_lines(pieces)) == ["step 1\n", " 20%\n", "red\ufffd]0;x\ufffd\n", "last"]
    assert "".join(log_lines(["x" * 100_000, "y"])) == "x" * 100_000 + "y"

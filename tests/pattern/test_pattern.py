"""A user's pattern means what it means in Python, and ends in time whatever text it meets."""

import contextlib
import math
import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tunesmith.data.read.formats.lines import read_text
from tunesmith.errors import UserError
from tunesmith.metrics.json_schema import json_fits
from tunesmith.pattern import TooSlow, as_python_means, matched
from tunesmith.recipe.schema.eval import Eval
from tunesmith.tasks.task import Scored
from tunesmith.train.evaluate.graders import make_graders

pytestmark = pytest.mark.filterwarnings("ignore:Possible:FutureWarning")

BOMBS = [r"(a|a)*", r"(a+)+b", r"(a|a)*b", r"(.*)*b", r"(a|aa)+b", r"(?:a*)*c", r"([a-z]+)*\d"]
SAME = [
    r"\{\"a\": \d+\}",
    r"{e}",
    r"(?:ab){e<=1}",
    r"x{,3}",
    r"x{2,}y{3}",
    r"x{a}",
    r"[[:alpha:]]",
    r"[^[:digit:]]+",
    r"[]a]+",
    r"[^]a]+",
    r"[a\]b[]+",
    r"(?i)STRASSE|ß",
    r"(?P<label>\w+)\t(?P<text>.*)",
    r"[a-z&&b]+",
    r"\[x\]",
    r"(?s:.)*\Z",
    r"(?<=a)b|^c$",
    r"\bword\b",
]
TEXTS = [
    "",
    '{"a": 1}',
    "{e}",
    "ab",
    "abb{e<=1}",
    "ab{e<=1}",
    "xxx",
    "xxyyy",
    "x{a}",
    "a:",
    "l]",
    "[:]",
    "]a",
]
TEXTS += ["ß", "STRASSE", "ham\tsome text", "b&&", "[x]", "a\nb\n", "ab\n", "c\n", "a word.", "\u00e9", "7"]


@pytest.mark.parametrize("pattern", SAME)
def test_it_means_what_it_means_in_python(pattern: str) -> None:
    for text in TEXTS:
        for way in ("fullmatch", "search"):
            for dotall in (False, True):
                wanted = getattr(re.compile(pattern, re.DOTALL if dotall else 0), way)(text)
                found = matched(pattern, text, way=way, dotall=dotall)
                assert (found and (found.span(), found.groupdict())) == (
                    wanted and (wanted.span(), wanted.groupdict())
                ), (pattern, text)


@given(st.text(st.sampled_from("ab{}[]^,12e<=:\\d.*+?|()-"), max_size=10), st.text("ab{}[]12:e", max_size=8))
@example("[[a]", "[a]")
def test_whatever_python_compiles(pattern: str, text: str) -> None:
    try:
        wanted = re.compile(pattern).fullmatch(text)
    except (re.error, RecursionError, OverflowError):
        return
    try:
        found = matched(pattern, text)
    except UserError:
        return  # refused in words
    assert (found is None) == (wanted is None)


@pytest.mark.parametrize("pattern", BOMBS)
def test_it_ends_in_time(pattern: str, monkeypatch) -> None:
    monkeypatch.setattr("tunesmith.pattern.SECONDS", 0.2)
    began = time.monotonic()
    with contextlib.suppress(TooSlow):
        assert matched(pattern, "a" * 5000 + "!") is None
    assert time.monotonic() - began < 10


def test_it_says_so(monkeypatch) -> None:
    monkeypatch.setattr("tunesmith.pattern.SECONDS", 0.2)
    with pytest.raises(TooSlow, match="has not ended within"):
        matched(r"(a|a)*", "a" * 500 + "!")
    with pytest.raises(TooSlow):
        json_fits('"' + "a" * 500 + '!"', {"type": "string", "pattern": "^(a|a)*$"})


def test_a_long_text_is_no_trouble() -> None:
    assert matched(r".*\d+", "a" * 200_000 + "1") is not None
    assert as_python_means("a{2}[[]") == r"a{2}[\[]"


def test_rows_and_answers(tmp_path, monkeypatch, capsys) -> None:
    """A row ends the run with its place, an answer makes the metric unknown."""
    monkeypatch.setattr("tunesmith.pattern.SECONDS", 0.2)
    path = tmp_path / "rows.txt"
    path.write_text("aaa\n" + "a" * 500 + "!\n")
    with pytest.raises(TooSlow) as found:
        list(read_text(path, "rows.txt", "utf-8", r"(?P<text>(a|a)*)"))
    assert found.value.where == "rows.txt:2"
    graders = make_graders(Eval(regex=r"(a|a)*", metrics=["regex"]), {}, tmp_path)
    answers = ["a", "b", "a" * 500 + "!", "a"]
    values = graders["regex"]([Scored(str(i), 0.0, 1, 1, a, a, "") for i, a in enumerate(answers)])
    assert values[:2] == [1.0, 0.0]
    assert all(map(math.isnan, values[2:]))
    assert "metric `regex` is unknown" in capsys.readouterr().out

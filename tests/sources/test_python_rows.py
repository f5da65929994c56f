"""Rows from callables, and everything that may be wrong with them."""

from __future__ import annotations

import itertools
import sys

import pytest

from tunesmith.errors import UserError
from tunesmith.sources.address import PythonAddress
from tunesmith.sources.python_rows import call_for_rows

CODE = """
import itertools
from beside_{n} import WORD

def rows(count=2, word=WORD):
    for number in range(count):
        yield {{"text": f"{{word}} {{number}}"}}

def endless():
    return ({{"n": n}} for n in itertools.count())

def breaks():
    yield {{"text": "a"}}
    raise KeyError("inside")

def number(): return 3
def text(): return "rows"
CONSTANT = 3
"""
numbers = itertools.count()


@pytest.fixture
def module(tmp_path):
    n = next(numbers)
    (tmp_path / f"makes_{n}.py").write_text(CODE.format(n=n))
    (tmp_path / f"beside_{n}.py").write_text("WORD = 'word'\n")
    return f"makes_{n}"


def test_the_module_beside_the_recipe_is_found_and_the_path_left_as_it_was(module, tmp_path) -> None:
    before = list(sys.path)
    assert call_for_rows(PythonAddress(module, "rows"), {}, tmp_path) == [
        {"text": "word 0"},
        {"text": "word 1"},
    ]
    assert call_for_rows(PythonAddress(module, "rows"), {"count": 1, "word": "x"}, tmp_path) == [
        {"text": "x 0"}
    ]
    assert sys.path == before


def test_a_limit_ends_an_endless_generator(module, tmp_path) -> None:
    assert len(call_for_rows(PythonAddress(module, "endless"), {}, tmp_path, limit=3)) == 3


@pytest.mark.parametrize(
    ("function", "arguments", "words"),
    [
        ("row", {}, "did you mean `rows`"),
        ("CONSTANT", {}, "something else than a function"),
        ("rows", {"cuont": 1}, "do not fit"),
        ("breaks", {}, "raised KeyError: 'inside'"),
        ("number", {}, "gave a int, not rows"),
        ("text", {}, "gave a str, not rows"),
    ],
)
def test_errors_name_the_thing(module, tmp_path, function, arguments, words) -> None:
    with pytest.raises(UserError) as caught:
        call_for_rows(PythonAddress(module, function), arguments, tmp_path, where="r.yaml:1")
    assert words in str(caught.value)
    assert caught.value.where == "r.yaml:1"


def test_an_exception_inside_names_the_users_line(module, tmp_path) -> None:
    with pytest.raises(UserError, match=rf"{module}.py:14"):
        call_for_rows(PythonAddress(module, "breaks"), {}, tmp_path)


def test_modules_that_are_not_there(module, tmp_path) -> None:
    with pytest.raises(UserError, match=f"did you mean `{module}`"):
        call_for_rows(PythonAddress(module + "x", "rows"), {}, tmp_path)
    (tmp_path / "needs_more.py").write_text("import tunesmith_is_not_this\n")
    with pytest.raises(UserError, match="tunesmith_is_not_this"):
        call_for_rows(PythonAddress("needs_more", "rows"), {}, tmp_path)


def test_a_module_of_the_same_name_from_elsewhere_does_not_answer(tmp_path) -> None:
    (tmp_path / "json.py").write_text("def rows(): return []\n")
    with pytest.raises(UserError, match="rename the file"):
        call_for_rows(PythonAddress("json", "rows"), {}, tmp_path)

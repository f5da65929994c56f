"""Columns and templates."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.map.normalise import BadRow, comparable, to_number, to_text
from tunesmith.data.map.template import parse_field
from tunesmith.errors import UserError

COLUMNS = {"text": "Why?", "n": 3, "meta": {"title": "T", "tags": ["x", "y"]}, "none": None, "a.b": "dot"}


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("text", "Why?"),
        ("a.b", "dot"),
        ("Q: {text}", "Q: Why?"),
        ("{text}{n}", "Why?3"),
        ("{{{text}}}", "{Why?}"),
        ("{meta.title}", "T"),
        ("{meta[title]} {meta[tags][1]}", "T y"),
        ("meta.title", "T"),
        ("{text} {none}", "Why? "),
        ("Context: {none}", ""),
        ("none", ""),
        ("line\n{text}\n", "line\nWhy?\n"),
    ],
)
def test_templates_render(spec, text) -> None:
    assert parse_field(spec, COLUMNS, "prompt").render(COLUMNS)[0] == text


def test_a_literal_stands_for_itself_even_if_a_column_is_called_so() -> None:
    template = parse_field("text", COLUMNS, "system", literal=True)
    assert template.render(COLUMNS) == ("text", "")
    assert parse_field("Be {text}", COLUMNS, "system", literal=True).render(COLUMNS)[0] == "Be Why?"


def test_what_the_row_itself_put_in_is_told_apart() -> None:
    assert parse_field("A long preface: {text} {n}", COLUMNS, "prompt").render(COLUMNS)[1] == "Why? 3"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("txet", "did you mean `text`"),
        ("{txet}", "did you mean `text`"),
        ("{nope.title}", "which is not there"),
        ("{text", "lone `{`"),
        ("text}{n}", "lone `}`"),
        ("{{text}}", "one brace a side"),
        ("{}", "names the column ``"),
        ("{text!r}", "which is not there"),
    ],
)
def test_bad_templates_are_the_users_to_mend(spec, words) -> None:
    with pytest.raises(UserError) as caught:
        parse_field(spec, COLUMNS, "prompt", "r.yaml:4")
    assert words in str(caught.value)


def test_a_table_with_another_separator_is_guessed() -> None:
    with pytest.raises(UserError, match="separated by ';'"):
        parse_field("text", ["text;label"], "text")


@given(st.text())
def test_escaped_text_is_literal_text(text) -> None:
    spec = text.replace("{", "{{").replace("}", "}}")
    assert parse_field(spec, [], "system", literal=True).render({})[0] == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), ("x", "x"), (3, "3"), (2.5, "2.5"), (True, "true"), (False, "false")],
)
def test_values_as_text(value, text) -> None:
    assert to_text(value, "c") == text


@pytest.mark.parametrize("value", [[1], {"a": 1}, b"x", math.nan, math.inf, "\ud800"])
def test_values_that_are_no_text(value) -> None:
    with pytest.raises(BadRow) as caught:
        to_text(value, "c")
    assert caught.value.reason == "malformed"


@pytest.mark.parametrize(("value", "number"), [("1.5", 1.5), (" -2 ", -2.0), (3, 3.0), ("1e-3", 0.001)])
def test_numbers(value, number) -> None:
    assert to_number(value, "c") == number


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        ("", "empty"),
        ("nan", "malformed"),
        (math.nan, "malformed"),
        ("inf", "malformed"),
        ("3,5", "malformed"),
        ("1_000", "malformed"),
        (True, "malformed"),
        ([1.0], "malformed"),
        (10**400, "malformed"),
    ],
)
def test_values_that_are_no_number(value, reason) -> None:
    with pytest.raises(BadRow) as caught:
        to_number(value, "c")
    assert caught.value.reason == reason


@given(st.text())
def test_comparable_text_is_its_own_comparable_text(text) -> None:
    assert comparable(comparable(text)) == comparable(text)
    assert comparable(f"  {text}\n") == comparable(text)


def test_composed_and_decomposed_text_compare_equal() -> None:
    assert comparable("cafe\u0301  au\tlait") == comparable("caf\xe9 au lait")
    assert comparable("x\u00b2") != comparable("x2")

"""The recipe's view of a source and the one that opens it are the same language."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tunesmith.errors import UserError
from tunesmith.recipe.source_syntax import kind_of, source_problem
from tunesmith.sources.address import HubAddress, PathAddress, PythonAddress, WheelAddress, parse_address

KINDS = {HubAddress: "hub", PathAddress: "path", WheelAddress: "wheel", PythonAddress: "python"}


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("org/name", "hub"),
        ("gpt2", "hub"),
        ("./x", "path"),
        ("../x", "path"),
        ("/x", "path"),
        ("~/x", "path"),
        ("x/y.jsonl", "path"),
        ("x.csv", "path"),
        ("base.yaml", "path"),
        ("a/b/c", "path"),
        ("pypi:a==1/b", "wheel"),
        ("python:a.b:c", "python"),
    ],
)
def test_kinds(source: str, kind: str):
    assert kind_of(source) == kind
    assert source_problem(source) is None


PIECES = [
    "pypi:",
    "python:",
    "a",
    "b.c",
    "/",
    "./",
    "../",
    "==",
    "1.0",
    ":",
    "..",
    "~",
    "@",
    "--",
    ".jsonl",
    " ",
    "://",
    "*",
    "é",
    "-",
    "_",
    "\\",
]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=7).map("".join) | st.text(max_size=20))
def test_both_agree_on_every_text(source: str):
    assume(
        "~" not in source.removeprefix("~/")
    )  # the home of a user who may not exist is not a question of syntax
    problem = source_problem(source)
    try:
        address = parse_address(source)
    except UserError:
        assert problem is not None, source
    else:
        assert problem is None, source
        assert kind_of(source) == KINDS[type(address)]

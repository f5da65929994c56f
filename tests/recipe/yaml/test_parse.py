from __future__ import annotations

import time
from pathlib import Path

import pytest

from tunesmith.recipe.finding import RecipeTrouble
from tunesmith.recipe.yaml.nodes import MapNode, get, key_spot, node_to_plain
from tunesmith.recipe.yaml.parse import MAX_DEPTH, parse
from tunesmith.recipe.yaml.text import MAX_BYTES, decode


def plain(text: str) -> object:
    node = parse(text, "f.yaml", Path())
    return None if node is None else node_to_plain(node)


def findings(text: str) -> list[str]:
    with pytest.raises(RecipeTrouble) as caught:
        parse(text, "f.yaml", Path())
    return [f"{one.spot}: {one.what}" for one in caught.value.findings]


def test_anchors_aliases_and_merge_keys():
    text = """
base: &base {a: 1, b: 2}
other: &other {b: 3, c: 4}
one: {<<: *base, b: 9}
two:
  <<: [*base, *other]
list: [*base]
quoted: {"<<": 5}
"""
    found = plain(text)
    assert isinstance(found, dict)
    assert found["one"] == {"a": 1, "b": 9}
    assert found["two"] == {"a": 1, "b": 2, "c": 4}
    assert found["list"] == [{"a": 1, "b": 2}]
    assert found["quoted"] == {"<<": 5}


def test_positions_are_of_characters_not_bytes():
    node = parse("é: {ü: 1, key: 2}\n", "f.yaml", Path())
    assert isinstance(node, MapNode)
    spot = key_spot(node, ("é", "key"))
    assert (str(spot), spot.width) == ("f.yaml:1:11", 3)
    assert spot.excerpt() == "  1 | é: {ü: 1, key: 2}\n    |           ^^^"


def test_keys_are_always_text():
    assert plain("{0: a, no: b, 1e3: c}") == {"0": "a", "no": "b", "1e3": "c"}


def test_all_duplicates_and_tags_are_reported_at_once():
    text = "a: 1\nb: !!python/object:os.system x\na: 2\nc: !mine 3\nd: {x: 1, x: 2}\n"
    assert findings(text) == [
        "f.yaml:2:4: tag `tag:yaml.org,2002:python/object:os.system` is refused",
        "f.yaml:3:1: key `a` stands twice, on lines 1 and 3",
        "f.yaml:4:4: tag `!mine` is refused",
        "f.yaml:5:11: key `x` stands twice, on lines 5 and 5",
    ]


@pytest.mark.parametrize(
    "tag", ["!!python/name:os.system", "!!python/object/apply:os.system", "!!binary", "!!str"]
)
def test_every_tag_is_refused(tag: str):
    assert "is refused" in findings(f"a: {tag} x\n")[0]


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("a: 1\n---\nb: 2\n", "2:1", "a second document"),
        ("a:\n\tb: 1\n", "2:1", "a tab"),
        ("a: b: c\n", "1:5", "a second `: `"),
        ("a: [1, 2\nb: 3\n", "2:2", "this list `[…]` is not closed"),
        ("a: {b: 1\n", "1:9", "this mapping `{…}` is not closed"),
        ("a: {text} is\n", "1:11", "text that starts with a brace"),
        ("a: `x`\n", "1:4", "text cannot start with ```"),
        ("a: %x\n", "1:4", "text cannot start with `%`"),
        ('a: "x\n', "1:6", "a quoted text that is not closed"),
        ("a: 1\n- b\n", "2:1", "this line does not fit"),
        ("a: *x\n", "1:4", "alias `*x` stands for nothing"),
        ("a: &x [*x]\n", "1:8", "alias `*x` stands for nothing"),
        ("{[1]: 2}\n", "1:2", "a key must be"),
        ("a: {<<: 3}\n", "1:5", "`<<` needs a mapping"),
        ("a: 1\nb: x\x00y\n", "2:5", "character U+0000"),
        ("a: 1\n\n# \x1b[31m\n", "3:3", "character U+001B"),
        ("a: x\ufeff\n", "1:5", "character U+FEFF"),
        ('a: "x\\0y"\n', "1:4", "text holds a NUL"),
    ],
)
def test_bad_yaml_has_a_place_and_a_reason(text: str, place: str, what: str):
    found = findings(text)
    assert found[0].startswith(f"f.yaml:{place}: ")
    assert what in found[0]


@pytest.mark.parametrize(
    ("raw", "place", "what"),
    [
        (b"task: x\nname: caf\xe9\n", "2:10", "byte 0xe9 is not UTF-8"),
        (b"\xef\xbb\xbftask: x\n", "1:1", "byte order mark"),
        ("task: x\n".encode("utf-16"), "1:1", "UTF-16"),
        (b"#" * (MAX_BYTES + 1), "1:1", "at most 1,048,576"),
    ],
)
def test_bytes_that_are_no_text(raw: bytes, place: str, what: str):
    with pytest.raises(RecipeTrouble) as caught:
        decode(raw, "f.yaml", Path())
    (found,) = caught.value.findings
    assert str(found.spot) == f"f.yaml:{place}"
    assert what in found.what


def _laughs(levels: int, width: int) -> str:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        _laughs(10, 9),
        _laughs(400, 1),
        "a: &a {x: 1}\nb: [" + ", ".join(["*a"] * 600) + "]",
        "[" * 100_000,
        "{a: " * 100_000,
        "- " * 100_000,
        "[" + "1," * 500_000,
        "a: {" + ", ".join(f"k{n}: 1" for n in range(60_000)) + "}",
        "? " * 50_000,
        "&a " * 50_000,
        "m0: &m0 {k: v}\n"
        + "\n".join(f"m{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}], k{n}: v}}" for n in range(1, 200)),
    ],
    ids=[
        "laughs",
        "deep-aliases",
        "many-aliases",
        "brackets",
        "braces",
        "dashes",
        "long-list",
        "many-keys",
        "questions",
        "anchors",
        "merges",
    ],
)
def test_a_bomb_is_refused_after_a_moment_of_computing(text: str):
    start = time.process_time()
    with pytest.raises(RecipeTrouble):
        parse(text[:MAX_BYTES], "f.yaml", Path())
    assert time.process_time() - start < 3  # less than 1 on a core of its own


def test_the_depth_limit_is_where_it_says():
    deepest = "[" * (MAX_DEPTH - 1) + "x" + "]" * (MAX_DEPTH - 1)
    assert parse(deepest, "f.yaml", Path()) is not None
    assert "nested more than" in findings(f"[{deepest}]")[0]


def test_a_large_but_harmless_file_is_read():
    text = "# comment\n" * 50_000 + "a: " + "x" * 400_000
    node = parse(text, "f.yaml", Path())
    assert node is not None
    assert get(node, ("a",)) is not None

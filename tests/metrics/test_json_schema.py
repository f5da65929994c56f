"""JSON answers and the part of JSON Schema that they can be held to."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.metrics.json_schema import fits, json_fits, json_valid, troubles
from tunesmith.pattern import TooSlow

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}
TREE = {"type": "object", "properties": {"a": {"$ref": "#"}}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ('{"a": 1}', 1),
        ("[1, 2]", 1),
        (' "x" \n', 1),
        ("null", 1),
        ("", 0),
        ("{'a': 1}", 0),
        ('{"a": 1} and so on', 0),
        ('```json\n{"a": 1}\n```', 0),
        ("NaN", 0),
        ("[Infinity]", 0),
        ("[" * 100_000, 0),
    ],
)
def test_json_valid(text, valid) -> None:
    assert json_valid(text) == valid


@pytest.mark.parametrize(
    ("value", "schema", "good"),
    [
        ({"name": "Ada", "age": 36}, PERSON, True),
        ({"name": "Ada", "age": 36.0}, PERSON, True),
        ({"name": "Ada", "age": -1}, PERSON, False),
        ({"name": "", "age": 1}, PERSON, False),
        ({"age": 1}, PERSON, False),
        ({"name": "Ada", "x": 1}, PERSON, False),
        ("Ada", PERSON, False),
        (True, {"type": "integer"}, False),
        (1, {"type": ["string", "number"]}, True),
        (1.0, {"const": 1}, True),
        (True, {"const": 1}, False),
        ([1, True], {"enum": [[1, 1], [1.0, True]]}, True),
        ([1, 2, 2], {"type": "array", "uniqueItems": True}, False),
        ([1, "2"], {"items": {"type": "integer"}}, False),
        ([1], {"minItems": 2}, False),
        ("abc", {"pattern": "b"}, True),
        ("abc", {"pattern": "^b"}, False),
        ("abc", {"maxLength": 2}, False),
        (5, {"exclusiveMaximum": 5}, False),
        (5, {"maximum": 5}, True),
        (5, {"anyOf": [{"type": "string"}, {"minimum": 3}]}, True),
        (5, {"oneOf": [{"minimum": 1}, {"minimum": 3}]}, False),
        (5, {"allOf": [{"minimum": 1}, {"maximum": 3}]}, False),
        (5, {"not": {"type": "integer"}}, False),
        (5, {"required": ["a"], "minLength": 3}, True),
        (5, False, False),
        ({"a": 1}, {"maxProperties": 0}, False),
        (7.5, {"multipleOf": 2.5}, True),
        ([1, "a"], {"prefixItems": [{"type": "integer"}], "items": {"type": "string"}}, True),
        ([1, 2], {"contains": {"const": 3}}, False),
        ({"a": 1}, {"dependentRequired": {"a": ["b"]}}, False),
        ({"a": 1}, {"if": {"required": ["a"]}, "then": {"required": ["b"]}}, False),
        ({"a": 1}, {"propertyNames": {"maxLength": 1}}, True),
        ({"a": {"a": {}}}, TREE, True),
        ({"a": {"b": {}}}, TREE, False),
    ],
)
def test_fits(value, schema, good) -> None:
    assert list(troubles(schema)) == []
    assert fits(value, schema) is good
    assert json_fits(json.dumps(value), schema) == good


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        ({"typ": "object"}, "`typ`"),
        ({"properties": {"a": {"$ref": "#/b"}}}, "`properties.a.$ref`"),
        (
            {"$ref": "https://json-schema.org/draft/2020-12/schema"},
            "`$ref` must lead to a schema in this one",
        ),
        ({"$ref": "file:///etc/passwd"}, "`$ref`"),
        ({"$ref": "#"}, "not back to itself"),
        ({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}}, "back to itself"),
        ({"patternProperties": {"(a+)+$": True}}, "`patternProperties` is not understood"),
        ({"multipleOf": 0}, "`multipleOf`"),
        ({"type": "strin"}, "`type`: 'strin' is not one of"),
        ({"items": [1]}, "a schema is a mapping at `items`"),
        ({"pattern": "("}, "`pattern`"),
        ({"minimum": "1"}, "`minimum`"),
        ({"enum": 3}, "`enum`"),
        ({"properties": []}, "`properties`"),
        (3, "a schema is a mapping"),
    ],
)
def test_what_is_not_understood_is_named(schema, word) -> None:
    assert word in next(iter(troubles(schema)))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
)


@given(VALUES)
def test_every_value_is_its_own_constant(value) -> None:
    assert fits(json.loads(json.dumps(value)), {"const": value})
    assert not fits(value, {"not": {"const": value}})
    assert json_fits(json.dumps(value), True) == 1
    assert not math.isnan(json_valid(json.dumps(value)))


def test_a_schema_that_doubles_at_every_step_ends_in_time() -> None:
    names = [{"anyOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(40)]
    schema = {"$ref": "#/$defs/0", "$defs": {**{str(n): one for n, one in enumerate(names)}, "40": False}}
    assert list(troubles(schema)) == []
    with pytest.raises(TooSlow, match="has not ended"):
        json_fits("1", schema)


def test_a_pattern_that_tries_every_way_ends_in_time() -> None:
    with pytest.raises(TooSlow):
        json_fits(json.dumps("a" * 60), {"anyOf": [{"pattern": r"^(a|aa)+[^a]"}]})


@pytest.mark.parametrize("text", ["[" * 800 + "]" * 800, "1" * 400, "1e999"])
def test_odd_answers_are_answers(text) -> None:
    assert json_fits(text, {"items": {"$ref": "#"}, "multipleOf": 0.5, "uniqueItems": True}) in (0, 1)

"""The reference for people is the schema's: current, every key with its meaning and an example that holds."""

from __future__ import annotations

from pathlib import Path

from tunesmith.recipe.check import introspect
from tunesmith.recipe.check.coerce import fit
from tunesmith.recipe.check.schema_errors import explain_schema_errors
from tunesmith.recipe.meanings import EXAMPLES, MEANINGS
from tunesmith.recipe.reference import example_of, reference_keys, reference_text
from tunesmith.recipe.yaml.parse import parse

PAGE = Path(__file__).parents[2] / "docs" / "recipe.md"


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == reference_text(), (
        "the schema has changed: tunesmith schema --markdown > docs/recipe.md"
    )


def test_every_key_has_a_meaning():
    unsaid = [key for key, field in reference_keys() if key not in MEANINGS and not field.description]
    assert not unsaid, f"say in recipe/meanings.py, or in the schema, what {unsaid} mean"


def test_every_key_has_an_example_that_may_stand_there():
    for key, field in reference_keys():
        example = example_of(key, field)
        assert example, f"give an example of `{key}` in recipe/meanings.py"
        node = parse(f"x: {example}", "example", Path())
        assert node is not None, key
        below = node.entries["x"].node
        annotation = introspect.field_type(field)
        assert not list(explain_schema_errors(annotation, fit(annotation, below))), f"{key}: {example}"


def test_nothing_is_said_of_keys_that_are_gone():
    known = {key for key, _ in reference_keys()}
    assert not {*MEANINGS, *EXAMPLES} - known

from __future__ import annotations

import json

from tunesmith.recipe.json_schema import recipe_schema
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.yaml.launchable import LAUNCH_KEY


def test_the_schema_allows_what_a_file_may_hold():
    schema = recipe_schema()
    json.dumps(schema)
    assert list(schema["properties"]) == [LAUNCH_KEY, "extends", *Recipe.model_fields]
    assert schema["additionalProperties"] is False
    assert "task" in schema["then"]["required"]
    every = schema["$defs"]["Eval"]["properties"]["every"]
    assert {"type": "string"} in every["anyOf"]
    train = schema["$defs"]["Data"]["properties"]["train"]["anyOf"]
    assert {"$ref": "#/$defs/Rows"} in train


def test_every_section_says_what_it_is():
    for name, section in recipe_schema()["$defs"].items():
        assert section.get("description"), name

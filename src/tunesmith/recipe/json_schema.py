"""The grammar as a JSON schema, for editors and other programs."""

from __future__ import annotations

from typing import Any

from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.yaml.launchable import LAUNCH_KEY


def recipe_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a recipe file, its launch key and ``extends`` included."""
    schema = Recipe.model_json_schema(mode="validation")
    own = schema.pop("properties")
    extra = {
        LAUNCH_KEY: {"type": "string", "description": "The line that makes the recipe a Python program."},
        "extends": {
            "type": "string",
            "description": "Path of a recipe that this one builds on; mappings merge, lists replace.",
        },
    }
    # What is required may come from the recipe that is extended.
    required = schema.pop("required")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "tunesmith recipe",
        "properties": {**extra, **own},
        "if": {"not": {"required": ["extends"]}},
        "then": {"required": required},
    }

"""The grammar of a recipe, a file a section, with every default."""

from tunesmith.recipe.schema.data import Rows
from tunesmith.recipe.schema.recipe import Recipe

__all__ = ["Recipe", "Rows"]

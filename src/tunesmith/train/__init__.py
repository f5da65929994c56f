"""From a recipe to a finished model: parts, loop, result."""

"""The grammar of a recipe, a file a section, with every default."""

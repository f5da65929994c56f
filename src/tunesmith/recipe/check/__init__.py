"""Every mistake of a recipe that can be found without its data."""

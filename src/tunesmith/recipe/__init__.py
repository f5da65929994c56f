"""What can be said in a recipe, and how it is read."""

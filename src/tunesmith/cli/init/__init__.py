"""`tunesmith init`: a recipe for a user's own file."""

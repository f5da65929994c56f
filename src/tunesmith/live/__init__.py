"""A run followed while it goes on, from the files of its directory alone."""

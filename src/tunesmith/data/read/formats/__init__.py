"""A file of each format as rows."""

"""From a file's columns to the fields that a task reads."""

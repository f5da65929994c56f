"""Launch commands and batch scripts as text."""

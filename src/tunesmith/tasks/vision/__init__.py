"""Tasks that see images."""

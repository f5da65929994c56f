"""Tasks that read a text and give a class or a number."""

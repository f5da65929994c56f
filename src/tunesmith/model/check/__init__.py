"""What a model's files and configuration show to be wrong, before it is built."""

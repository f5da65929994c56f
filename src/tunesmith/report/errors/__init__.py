"""The errors that remain: rows that a finished model has wrong, and numbers that it misses."""

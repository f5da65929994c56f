"""A finished model: merged, written, and opened again."""

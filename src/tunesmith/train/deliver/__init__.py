"""The end of a run: weights chosen, written, proven, described."""

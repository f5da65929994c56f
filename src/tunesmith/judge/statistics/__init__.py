"""Intervals, paired tests, distributions and curves. Pure."""

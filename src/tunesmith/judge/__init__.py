"""Measurements in, verdicts out: when to stop, and which weights are best."""

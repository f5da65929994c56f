"""Saving and restoring all that a run needs to go on exactly."""

"""Programs that the sandbox starts: one confines another, one runs an answer and then its tests."""

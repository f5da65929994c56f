"""One file a task: encode, collate, loss, score."""

"""What a field may hold: a file a kind, which says how it is read, checked, compared and shown."""

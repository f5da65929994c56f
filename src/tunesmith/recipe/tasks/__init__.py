"""The tasks as far as they are known before a row is read or torch imported: one declaration each."""

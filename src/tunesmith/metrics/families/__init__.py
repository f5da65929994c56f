"""The field's metrics, a file a family; nothing heavy is imported before one is computed."""

"""A model: loaded, made trainable, exported."""

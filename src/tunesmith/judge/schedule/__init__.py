"""When a run is evaluated, and on how many rows. Pure."""

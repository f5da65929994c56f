"""Whether the processes of a run reach each other."""

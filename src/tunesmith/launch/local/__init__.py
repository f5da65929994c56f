"""The processes of a run, on this machine and on plain hosts."""

"""Using what a run made: open it, run a file through it, talk to it."""

"""Which weights are kept, and what bars them. Pure."""

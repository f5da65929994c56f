"""A run as a SLURM job."""

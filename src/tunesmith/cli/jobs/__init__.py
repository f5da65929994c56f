"""`tunesmith submit` and what follows a submitted job."""

"""Files that survive a crash: written whole, hashed, owned by one process."""

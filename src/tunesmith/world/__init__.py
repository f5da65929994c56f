"""The world a process finds itself in: who it is among how many, and which cores are its own."""

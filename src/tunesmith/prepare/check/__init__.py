"""What a run would refuse, found without loading weights."""

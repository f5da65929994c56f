"""What is written down about a run: environment, cost, trackers, variants."""

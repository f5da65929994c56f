"""What a prediction is worth: the metrics, each a number between named bounds."""

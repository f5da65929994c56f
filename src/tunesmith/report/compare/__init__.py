"""Several runs beside each other, compared row by row."""

"""One evaluation: rows scored, metrics and their intervals formed."""

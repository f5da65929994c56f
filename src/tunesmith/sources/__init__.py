"""Where bytes come from: the text of a source, and the path or address that it leads to."""

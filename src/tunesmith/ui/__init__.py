"""A local page that lists, compares and follows the runs of a folder."""

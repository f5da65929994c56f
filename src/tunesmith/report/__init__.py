"""The page that explains a run, made from the files of its directory alone."""

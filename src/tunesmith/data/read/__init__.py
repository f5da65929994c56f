"""From files of every format to rows of columns."""

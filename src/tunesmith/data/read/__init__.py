"""From files of every format to rows of columns."""

from tunesmith.data.read.rows import read_rows

__all__ = ["read_rows"]

"""Fine-tune until it is good enough, then stop."""

from __future__ import annotations

__all__ = ["__version__", "main"]

__version__ = "0.1.0"


def main(file: str) -> None:
    """Run the recipe in ``file``: where a recipe's first line lands when Python runs it.

    What follows the file on the command line are overrides (``key.path=value``) and ``--fresh``.
    Everything is imported inside, so that worker processes and ``tunesmith --help`` stay light.
    """
    import sys

    from tunesmith.cli.entry import run_from_arguments

    sys.exit(run_from_arguments(file, sys.argv[1:]))

"""Fine-tune until it is good enough, then stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

__all__ = ["__version__", "main"]

__version__ = "0.1.0"


def main(file: str, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the recipe in ``file``: where a recipe's first line lands when Python runs it.

    Everything is imported inside, so that worker processes and ``tunesmith --help`` stay light, and a
    mistake in the recipe is reported before anything heavy is imported.

    Args:
        file: the recipe.
        arguments: overrides (``key.path=value``) and flags such as ``--fresh``; default: the command line.
    """
    import os
    import sys

    from tunesmith.world.import_path import leave_script_folder

    leave_script_folder(file)
    from tunesmith.cli.command import read_command
    from tunesmith.cli.messages import guarded, outlive_reader
    from tunesmith.errors import Exit
    from tunesmith.world.exit_status import leave_outcome
    from tunesmith.world.launcher import announced, launched_by

    def act() -> int:
        outlive_reader()
        os.umask(0o077)  # whatever a library writes for a run is private as well
        launched_by(os.getpid(), *announced(os.environ))  # before it can go away unseen
        command = read_command(file, sys.argv[1:] if arguments is None else arguments)
        from tunesmith.train.record.variants import compare_variants
        from tunesmith.train.run import run_recipes

        for recipes in command.recipes:
            status = run_recipes(recipes, command.terms)
            if status:
                return status
        if command.variants:
            compare_variants(command.variants)
        return 0

    try:
        status = guarded(act)
    except Exception:
        leave_outcome(os.environ, Exit.FAULT)
        raise
    sys.exit(leave_outcome(os.environ, status))

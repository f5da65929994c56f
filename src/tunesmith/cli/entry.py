"""The one way into a run, shared by a recipe's first line, ``python -m tunesmith`` and ``tunesmith run``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunesmith.cli.messages import guarded


def run_from_arguments(file: str, arguments: Sequence[str]) -> int:
    """Run the recipe ``file`` with what followed it on the command line.

    Args:
        file: the recipe.
        arguments: ``key.path=value`` and ``--fresh``, in any order.

    Returns:
        The exit status; a mistake of the user has been reported.
    """
    fresh = "--fresh" in arguments
    overrides = [argument for argument in arguments if argument != "--fresh"]
    path = _as_typed(file)

    def act() -> int:
        from tunesmith.recipe.load import load_recipe

        load_recipe(path, overrides)  # takes a moment; what trains takes seconds to import
        from tunesmith.train.run import run_recipe

        return int(run_recipe(path, overrides, fresh=fresh))

    return guarded(act)


def _as_typed(file: str) -> Path:
    """The file relative to the working directory, where Python has made an absolute path of it."""
    path, here = Path(file), Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path

"""Every task of ours is among those that the fuzz begins with."""

import sys
from pathlib import Path

from tunesmith.recipe.tasks.table import TASKS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_the_fuzz_has_every_task(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    try:
        import fuzz_recipes

        assert set(fuzz_recipes.MORE_TASKS) == set(TASKS)
    finally:
        sys.modules.pop("fuzz_recipes", None)

"""What a recipe would do, without its weights: the text of ``tunesmith plan``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path


def plan_text(path: Path, overrides: Sequence[str] = ()) -> str:
    """The arithmetic block of a run, and the command that would start it."""
    from tunesmith.plan.arithmetic import text_of
    from tunesmith.recipe.launchable import is_launchable
    from tunesmith.recipe.load import load_with_variants
    from tunesmith.train.accelerator import take_place
    from tunesmith.train.before import on_base_model
    from tunesmith.train.build import arithmetic_of, dtype_of, outline
    from tunesmith.train.parts import prepare
    from tunesmith.train.quiet import quieten

    quieten()
    path = Path(path)
    recipe, several = load_with_variants(path, overrides)
    place = take_place(recipe.run)
    blocks = []
    for name, each in several or [("", recipe)]:
        parts = prepare(on_base_model(each), path.resolve().parent)
        model = outline(parts, dtype_of(parts, place)).model
        blocks.append((f"variant {name}\n" if name else "") + text_of(arithmetic_of(parts, place, model)))
    start = (
        ["accelerate", "launch"] if is_launchable(path.read_text(encoding="utf-8")) else ["tunesmith", "run"]
    )
    command = shlex.join([*start, str(path), *overrides])
    return "\n\n".join(blocks) + f"\ncommand    {command}"

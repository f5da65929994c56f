"""The finished model, opened again as anybody would, against what was measured on the same rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tunesmith.errors import describe_error
from tunesmith.model.end_tokens import end_tokens_of
from tunesmith.model.export.reopen import reopen
from tunesmith.recipe.tasks.table import spec_of
from tunesmith.report.score_files import SCORES, read_scores
from tunesmith.tasks.task import Example, Scored
from tunesmith.train.evaluate.evaluator import Evaluator
from tunesmith.world.memory import machine_memory, resident_bytes

ROWS = 4
"""Rows that are scored again, the shortest: enough to tell another model, and seconds for a large one."""
NEAR, NEAR_ROUNDED = 2e-3, 0.05
"""How far the mean loss over these rows may lie off: in float32, and where fewer bits compute."""
MOST_SHARE = 0.8
"""Of the machine's memory, with the weights that are opened."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What became of the comparison.

    Attributes:
        measured: mean loss over the rows, as the run measured it.
        found: the same of the model in the folder; ``None`` if it was not opened.
        trouble: what is wrong, or why nothing was compared; empty if both agree.
        agrees: ``None`` if nothing was compared.
    """

    measured: float | None = None
    found: float | None = None
    trouble: str = ""
    agrees: bool | None = None


def prove(evaluator: Evaluator, run_dir: Path, folder: Path, processor: Any, *, size: int) -> Proof:
    """Open a written folder and score a few rows of the evaluation set with it.

    Args:
        evaluator: of the run, whose weights were those of the folder.
        run_dir: with what was measured.
        folder: of the finished model.
        processor: that the run used.
        size: bytes of the weights.
    """
    task, rows = evaluator.learner.task, _rows(evaluator.examples, run_dir)
    if not rows:
        return Proof(trouble="nothing was measured that it could be compared with")
    if not _fits(size):
        return Proof(trouble="there is no memory to open it")
    measured = sum(task.lone_loss(known) for _, known in rows) / sum(known.count for _, known in rows)
    try:
        model = reopen(folder, spec_of(evaluator.recipe.task)).eval()
        scored = task.score_delivered(model, [example for example, _ in rows])
    except Exception as error:  # whatever keeps anybody from opening it
        reason = describe_error(error).splitlines()[0][:240]
        return Proof(measured, None, f"it does not open: {reason}", agrees=False)
    found = sum(task.lone_loss(one) for one in scored) / sum(one.count for one in scored)
    whole = {p.dtype for p in model.parameters()} <= {torch.float32}
    exact = whole and evaluator.learner.dtype == torch.float32
    off = NEAR if exact else NEAR_ROUNDED
    near = math.isclose(found, measured, rel_tol=off, abs_tol=off)
    if not (near or (math.isnan(found) and math.isnan(measured))):
        told = f"on {len(rows)} rows its loss is {found:.4g}, and {measured:.4g} was measured"
        return Proof(measured, found, told, agrees=False)
    if missing := _ends_forgotten(model, processor):
        return Proof(measured, found, f"plain generation would not stop at {missing}", agrees=False)
    return Proof(measured, found, agrees=True)


def _rows(examples: Sequence[Example], run_dir: Path) -> list[tuple[Example, Scored]]:
    """The shortest evaluation rows, with what the weights that were kept scored on them."""
    path = run_dir / SCORES
    if not path.exists():
        return []
    known = {one.id: one for one in read_scores(path)}
    pairs = [(example, known[example["id"]]) for example in examples if example["id"] in known]
    return sorted(pairs, key=lambda pair: (pair[0].get("length", 1), pair[0]["id"]))[:ROWS]


def _fits(size: int) -> bool:
    total = machine_memory()
    return total is None or resident_bytes() + size < MOST_SHARE * total


def _ends_forgotten(model: Any, processor: Any) -> str:
    """Tokens that end answers and that the folder's own settings for generation do not know."""
    settings = getattr(model, "generation_config", None)
    if hasattr(model, "peft_config") or settings is None or not hasattr(processor, "added_tokens_decoder"):
        return ""  # an adapter has no settings of its own (see ``closing.py``)
    if not model.can_generate():
        return ""
    known = settings.eos_token_id
    ends = set(known) if isinstance(known, list | tuple) else {known}
    lost = [token for token in end_tokens_of(processor) if token not in ends]
    return ", ".join(f"`{processor.convert_ids_to_tokens(token)}`" for token in lost)

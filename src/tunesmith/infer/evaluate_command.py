"""An evaluation of a finished model, written into a folder and told in a few lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.atomic import write_json, write_text
from tunesmith.errors import UserError
from tunesmith.infer.evaluate import Evaluated, evaluate_file
from tunesmith.metrics.names import slice_of
from tunesmith.numbers import show
from tunesmith.report.evaluation import evaluation_page
from tunesmith.report.score_files import write_scores

PAGE = "report.html"
SHOWN_SLICES = 3


def evaluate_into(
    path: Path,
    data: Path,
    folder: Path | None,
    *,
    slices: Sequence[str] = (),
    force: bool = False,
    **options: Any,
) -> str:
    """Evaluate, write ``evaluation.json``, ``scores.jsonl`` and ``report.html``, and give what to say.

    Args:
        path: a run directory or a model's folder.
        data: rows with their right answers.
        folder: where to write; default: ``evaluations/<name of the data>`` in the run, or here.
        slices: columns whose values are measured apart.
        force: whether files of an earlier evaluation may be replaced.
        options: as ``evaluate_file`` takes them.

    Raises:
        UserError: as ``evaluate_file``, and if there is an evaluation in the folder already.
    """
    name = data.name.partition(".")[0] or "data"
    is_run = (path / "recipe.yaml").is_file()
    target = folder or (path if is_run else Path()) / "evaluations" / name
    taken = next((target / each for each in (PAGE, "evaluation.json") if (target / each).exists()), None)
    if taken is not None and not force:
        hint = "name another folder with `--out`, or add `--force`"
        raise UserError("an evaluation is there already", str(taken), hint)
    found = evaluate_file(path, data, slices=slices, folder=target, **options)
    content = content_of(found, path, data)
    target.mkdir(parents=True, exist_ok=True)
    write_scores(target / "scores.jsonl", found.scored)
    write_json(target / "evaluation.json", content)
    write_text(target / PAGE, evaluation_page(content, found.scored))
    return in_words(content, target)


def content_of(found: Evaluated, path: Path, data: Path) -> dict[str, Any]:
    """The content of ``evaluation.json``."""
    return {
        "model": str(path),
        "data": str(data),
        "task": found.task,
        "rows": found.rows,
        "left_out": dict(found.left_out),
        "metrics": dict(found.metrics),
        "intervals": {name: list(ends) for name, ends in found.intervals.items()},
        "confusion": found.confusion,
        "notes": list(found.notes),
    }


def in_words(content: dict[str, Any], target: Path) -> str:
    """The evaluation for a terminal: a line a metric, the worst slices, and where the rest stands."""
    rows = f"{content['rows']:,} rows of {content['data']}"
    left = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in content["left_out"].items())
    metrics, intervals = content["metrics"], content["intervals"]
    plain = [name for name in metrics if slice_of(name) is None]
    width = max((len(name) for name in plain), default=0)
    lines = [rows + (f"; left out: {left}" if left else "")]
    for name in plain:
        ends = intervals.get(name)
        between = f"  {show(ends[0])} to {show(ends[1])}" if ends else ""
        lines.append(f"  {name:<{width}}  {show(metrics[name])}{between}")
    number = len(metrics) - len(plain)
    lines += [f"  and {number} values of slices in the page"] if number else []
    lines += [f"note: {note}" for note in content["notes"]]
    return "\n".join([*lines, f"page    {target / PAGE}", f"scores  {target / 'scores.jsonl'}"])

"""The files of a run directory as values; a file that is not there yet is an absent value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.plain_file import MIB, MOST, is_there, read_plain, refuse_closed
from tunesmith.errors import UserError
from tunesmith.recipe.finding import RecipeTrouble
from tunesmith.recipe.read import own_tree
from tunesmith.recipe.yaml.nodes import node_to_plain
from tunesmith.recipe.yaml.text import MAX_BYTES
from tunesmith.report.score_files import BASELINE_SCORES, SCORES, read_scores
from tunesmith.tasks.task import Scored

Record = Mapping[str, Any]

TRACES = ("recipe.yaml", "metrics.jsonl", "result.json", "environment.json", "variants.json")
"""A folder that holds one of these is a run directory."""

MOST_JOURNAL = 256 * MIB
MOST_STEP = 2**53
"""A step beyond it is no count; arithmetic with it would fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """Everything a report is made of.

    Attributes:
        run_dir: the directory read.
        recipe_text: ``recipe.yaml`` as written, empty if there is none.
        recipe: the same, parsed; empty if there is none or it cannot be read.
        train: the ``train`` lines of ``metrics.jsonl``, one a step, ascending.
        evals: its ``eval`` lines, ascending; step 0 is the baseline.
        plan: ``plan.txt``, empty if there is none.
        scores: every example of the evaluation whose weights were kept; ``None`` if not written.
        baseline_scores: the same before the first step.
        problems: what could not be read and why, in words.

    The other attributes hold the JSON file of the same name, ``None`` if it is absent or unreadable.
    """

    run_dir: Path
    recipe_text: str
    recipe: Record
    train: tuple[Record, ...]
    evals: tuple[Record, ...]
    plan: str
    result: Record | None
    environment: Record | None
    data: Record | None
    samples: tuple[Record, ...] | None
    preview: tuple[Record, ...] | None
    confusion: Record | None
    variants: Record | None
    drawings: Record | None = None
    scores: tuple[Scored, ...] | None
    baseline_scores: tuple[Scored, ...] | None
    problems: tuple[str, ...]

    @property
    def name(self) -> str:
        """The run as its recipe calls it, e.g. ``runs/gpt_sft``."""
        run = self.recipe.get("run")
        written = run.get("dir") if isinstance(run, Mapping) else None
        return str(written) if written else self.run_dir.name


def read_run(run_dir: Path) -> RunFiles:
    """Read a run directory, whatever state it is in: going, finished, preempted or failed.

    Raises:
        UserError: if ``run_dir`` is not a folder, or nothing in it comes from a run.
    """
    refuse_no_run(run_dir)
    facts = read_facts(run_dir)
    problems: list[str] = []
    train, evals = read_metrics(_text(run_dir / "metrics.jsonl", problems, MOST_JOURNAL), problems)
    scores = [_scores(run_dir / name, problems) for name in (SCORES, BASELINE_SCORES)]
    return replace(
        facts,
        train=train,
        evals=evals,
        scores=scores[0],
        baseline_scores=scores[1],
        problems=(*facts.problems, *problems),
    )


def read_facts(run_dir: Path) -> RunFiles:
    """Everything but what grows with the run: ``metrics.jsonl`` and the scores count as absent."""
    problems: list[str] = []
    recipe_text = _text(run_dir / "recipe.yaml", problems, MAX_BYTES)
    return RunFiles(
        run_dir=run_dir,
        recipe_text=recipe_text,
        recipe=_recipe(run_dir / "recipe.yaml", recipe_text, problems),
        train=(),
        evals=(),
        plan=_text(run_dir / "plan.txt", problems),
        result=_object(run_dir / "result.json", problems),
        environment=_object(run_dir / "environment.json", problems),
        data=_object(run_dir / "data.json", problems),
        samples=_objects(run_dir / "samples.json", problems),
        preview=_objects(run_dir / "preview.json", problems),
        confusion=_object(run_dir / "confusion.json", problems),
        variants=_object(run_dir / "variants.json", problems),
        drawings=_object(run_dir / "drawings.json", problems),
        scores=None,
        baseline_scores=None,
        problems=tuple(problems),
    )


def _scores(path: Path, problems: list[str]) -> tuple[Scored, ...] | None:
    try:
        return read_scores(path)
    except FileNotFoundError:
        return None
    except UserError as error:
        problems.append(f"{error.where.rpartition('/')[2]}: {error.what}")
    except OSError as error:
        problems.append(f"{path.name}: {error.strerror}")
    return None


def refuse_no_run(run_dir: Path) -> None:
    """Make sure that a folder is one that a run writes to.

    Raises:
        UserError: if there is no such folder, or nothing in it comes from a run.
    """
    refuse_closed(run_dir)
    if not run_dir.is_dir():
        raise UserError(
            f"`{run_dir}` is not a run directory: there is no such folder",
            hint="give the folder that `run.dir` names, by default `runs/<recipe name>`",
        )
    if not any(is_there(run_dir / trace) for trace in TRACES):
        raise UserError(
            f"`{run_dir}` is not a run directory: it holds none of {', '.join(TRACES)}",
            hint="give the folder that `run.dir` names, by default `runs/<recipe name>`",
        )


def read_metrics(text: str, problems: list[str]) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """Split ``metrics.jsonl`` into its training and evaluation lines.

    A run that was cut off and continued writes some steps a second time; the later lines count, and
    earlier ones at or beyond them belong to a branch that was thrown away. A last line without its
    end is a write in progress and is passed over in silence; any other broken line is a problem.
    """
    kept: dict[str, list[Record]] = {"train": [], "eval": []}
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        record = metric_line(line)
        if record is None:
            if line.strip() and (number < len(lines) or line.endswith("\n")):
                problems.append(f"metrics.jsonl, line {number}: not a record of a run; left out")
            continue
        add_record(kept, record)
    return tuple(kept["train"]), tuple(kept["eval"])


def add_record(kept: Mapping[str, list[Record]], record: Record) -> None:
    """Add a record to the rows of its kind, in place of those at or beyond its step."""
    rows = kept.get(str(record.get("kind")))
    if rows is None:
        return
    while rows and rows[-1]["step"] >= record["step"]:
        rows.pop()
    rows.append(record)


def metric_line(line: str | bytes) -> Record | None:
    """One line of ``metrics.jsonl`` as a record, ``None`` if it is none."""
    try:
        record = parse_json_text(line)
    except (ValueError, RecursionError):
        return None
    step = record.get("step") if isinstance(record, dict) else None
    whole = isinstance(step, int) and not isinstance(step, bool) and 0 <= step < MOST_STEP
    return record if whole else None


def parse_json_text(text: str | bytes) -> Any:
    """The value of a JSON text; whole numbers too large to reckon with become floating point, or infinite.

    Raises:
        ValueError: it is not JSON.
    """
    return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) < 19 else float(digits))


def _text(path: Path, problems: list[str], most: int = MOST) -> str:
    try:
        return read_plain(path, most).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        problems.append(f"{path.name}: {error.strerror}")
        return ""


def _recipe(path: Path, text: str, problems: list[str]) -> Record:
    if not text.strip():
        return {}
    try:
        tree = own_tree(text.encode(), path)
        if "extends" in tree.entries:  # as written by a run it extends nothing
            problems.append("recipe.yaml: `extends` is not followed here")
        return dict(node_to_plain(tree.with_entry("extends", None)))
    except RecipeTrouble as trouble:
        problems.append(f"recipe.yaml: {trouble.findings[0].what}")
        return {}


def _json(path: Path, problems: list[str]) -> Any:
    text = _text(path, problems)
    if not text.strip():
        return None
    try:
        return parse_json_text(text)
    except (ValueError, RecursionError) as error:
        problems.append(f"{path.name}: not valid JSON ({error})")
        return None


def _object(path: Path, problems: list[str]) -> Record | None:
    value = _json(path, problems)
    if value is None or isinstance(value, dict):
        return value
    problems.append(f"{path.name}: expected an object")
    return None


def _objects(path: Path, problems: list[str]) -> tuple[Record, ...] | None:
    value = _json(path, problems)
    if value is None:
        return None
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return tuple(value)
    problems.append(f"{path.name}: expected a list of objects")
    return None


DEEPEST = 8
"""Rules nested deeper are passed over; a file may name itself in a circle."""


def all_rules(recipe: Record) -> list[Record]:
    """Every single rule, in the order of the recipe."""
    return list(_leaves(recipe.get("stop"), ("any", "all"), DEEPEST))


def binding_rules(recipe: Record) -> list[Record]:
    """The rules that end the run by themselves: those inside of an ``all`` need others to agree."""
    return list(_leaves(recipe.get("stop"), ("any",), DEEPEST))


def _leaves(rules: Any, open_up: Sequence[str], depth: int) -> Iterator[Record]:
    if not isinstance(rules, Sequence) or isinstance(rules, str) or not depth:
        return
    for rule in rules:
        if not isinstance(rule, Mapping):
            continue
        inner = [rule.get(key) for key in ("any", "all") if rule.get(key) is not None]
        if not inner:
            yield rule
        for key in open_up:
            yield from _leaves(rule.get(key), open_up, depth - 1)

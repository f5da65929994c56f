"""The text of a recipe for the user's own rows: model and tuning of a shipped one, everything else new.

What the shipped recipe says of its own data, its comments, target and figures, would mislead there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.cli.init.data_file import DataFile
from tunesmith.cli.init.infer_task import Guess, columns_of
from tunesmith.recipe.dump import scalar_text
from tunesmith.recipe.schema.data import FLAT
from tunesmith.recipe.tasks.table import TASKS
from tunesmith.recipe.yaml.launchable import LAST_LINE, LAUNCH_LINE
from tunesmith.suggest import shorten

SHORT_ANSWER = 60
"""Characters of an answer that is compared word for word; longer ones are hardly ever the same."""
SURE_TO_FIT, SURE_TO_FIT_ENCODERS = 1500, 400
"""Bytes of a text that fit into every model: a token has one at least."""
LONG = "# some rows may be longer than the model can read; what is cut is counted"
FEW_ROWS = 1500


def compose(
    base: Mapping[str, Any], source: str, seen: DataFile, guess: Guess, *, target: Path, name: str
) -> str:
    """The recipe as text.

    Args:
        base: the shipped recipe, its paths right for the new place.
        source: the user's rows, as the recipe names them.
        seen: what was seen of them.
        guess: how they are read.
        target: the new recipe.
        name: of the shipped recipe.
    """
    lines = [
        LAUNCH_LINE,
        f"# Written for {shorten(source, 80)} by `tunesmith init`, from the shipped recipe {name}.",
        "#",
        f"# check    tunesmith check {target}",
        f"# look     tunesmith preview {target}, tunesmith plan {target}",
        f"# train    accelerate launch {target}",
        f"task: {guess.task}",
        "",
        *_block("model", base["model"]),
        "",
        *_data(source, seen, guess),
        "",
        *(_block("tune", base["tune"]) if base.get("tune") else []),
        f"optimizer: {flow(base['optimizer'])}",
        f"batch: {flow({'size': _batch(base, seen)})}",
        f"eval: {flow(_eval(seen, guess))}",
        "",
        *_stop(base, seen, guess),
        "",
        f"run: {flow({'dir': f'runs/{target.stem}', 'seed': 0})}",
        LAST_LINE,
    ]
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return scalar_text(value)


def _block(key: str, section: Mapping[str, Any]) -> list[str]:
    return [f"{key}:", *(f"  {name}: {flow(value)}" for name, value in section.items())]


def _data(source: str, seen: DataFile, guess: Guess) -> list[str]:
    lines = ["data:", "  train:", f"    source: {scalar_text(source)}"]
    if seen.names is not None:
        lines.append(f"    columns: {flow(list(seen.names))}  # the file has no header")
    short = {field: spec for field, spec in guess.fields.items() if field in FLAT}
    others = {field: spec for field, spec in guess.fields.items() if field not in FLAT}
    lines += [f"    {field}: {scalar_text(spec)}" for field, spec in short.items()]
    lines += [f"    fields: {flow(others)}"] if others else []
    holdout: dict[str, Any] = {"holdout": 0.2 if seen.whole and len(seen.rows) < FEW_ROWS else 300}
    if _stratified(seen, guess):
        holdout["stratify"] = guess.fields["label"]
    lines += [f"  eval: {flow(holdout)}", "  clean: {duplicates: drop, leakage: drop}"]
    return lines + ([f"  overflow: truncate  {LONG}"] if may_be_long(seen, guess) else [])


def may_be_long(seen: DataFile, guess: Guess) -> bool:
    """Whether a row might be longer than a model of the task can read."""
    task = TASKS[guess.task]
    if task.processor != "tokenizer":
        return False
    most = SURE_TO_FIT_ENCODERS if task.encoder else SURE_TO_FIT
    names = [column for spec in guess.fields.values() for column in columns_of(spec, seen.columns)]
    longest = max(sum(len(str(row.get(name) or "").encode()) for name in names) for row in seen.rows)
    return longest > most or not seen.whole


def _stratified(seen: DataFile, guess: Guess) -> bool:
    """Whether each class has enough rows for both parts."""
    if "label" not in guess.fields:
        return False
    counts = Counter(str(row.get(guess.fields["label"])) for row in seen.rows)
    return seen.whole and min(counts.values()) >= 5


def _batch(base: Mapping[str, Any], seen: DataFile) -> int:
    """The shipped batch, or a smaller one where it would hold a large part of all rows."""
    size = int(base["batch"]["size"])
    while size > 1 and seen.whole and size > len(seen.rows) / 5:
        size //= 2
    return size


def _eval(seen: DataFile, guess: Guess) -> dict[str, Any]:
    task = TASKS[guess.task]
    every = {"every": task.usual_evaluation}
    if task.output == "tokens":
        answers = _answers(seen, guess)
        kinds = len(set(answers)) <= max(2, len(answers) // 2)
        if not kinds or not answers or max(map(len, answers)) > SHORT_ANSWER:
            return every
        longest = max(len(answer.encode()) for answer in answers)
        tokens = {"max_new_tokens": max(8, min(longest + 2, 64))}
        return {**every, "metrics": ["exact_match"], "generate": tokens}
    return {**every, "metrics": list(task.measured or task.metrics[1:2])}


def _answers(seen: DataFile, guess: Guess) -> list[str]:
    """What is to be said, where a column holds it."""
    spec = guess.fields.get("label") or guess.fields.get("completion") or guess.fields.get("output")
    return [str(row[spec]) for row in seen.rows if row.get(spec) is not None] if spec is not None else []


def _stop(base: Mapping[str, Any], seen: DataFile, guess: Guess) -> list[str]:
    metrics = _eval(seen, guess).get("metrics", ["loss"])
    epochs = next((rule["budget"].get("epochs") for rule in base.get("stop", []) if "budget" in rule), None)
    return [
        "stop:",
        *_target(metrics[0], seen, guess),
        f"  - plateau: {flow({'metric': metrics[0], 'patience': 4})}",
        f"  - budget: {flow({'epochs': epochs or 3})}",
    ]


def _target(metric: str, seen: DataFile, guess: Guess) -> list[str]:
    """What is good enough: half-way between always giving the commonest answer and being right always."""
    if metric == "pearson":
        return ["  - target: {pearson: 0.7}  # the mean alone reaches 0; what is good enough for you?"]
    if metric not in ("accuracy", "exact_match"):
        return []
    answers = Counter(_answers(seen, guess))
    commonest, count = answers.most_common(1)[0]
    share = count / answers.total()
    wanted = min(round(share + (1 - share) / 2, 3), 0.99)
    if wanted <= share:
        return []
    says = f"# always saying `{shorten(commonest, 30)}` reaches {share:.2f}; what is good enough for you?"
    return [f"  - target: {{{metric}: {wanted:g}}}  {says}"]

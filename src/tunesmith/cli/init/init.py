"""``tunesmith init``: a shipped recipe in the user's folder, fitted to the user's data file."""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from tunesmith.cli.init.compose import compose
from tunesmith.cli.init.data_file import LOOKED_AT, DataFile, read_data_file
from tunesmith.cli.init.edit_recipe import fill_rows, replace_scalars, set_value
from tunesmith.cli.init.goal import above_baseline
from tunesmith.cli.init.infer_task import Guess, columns_of, guesses
from tunesmith.cli.init.templates import choose_template, fitting, listing, templates
from tunesmith.errors import UserError
from tunesmith.recipe.load import load_recipe
from tunesmith.recipe.read import read_tree
from tunesmith.recipe.source_syntax import kind_of
from tunesmith.recipe.yaml.launchable import LAUNCH_LINE, is_launchable
from tunesmith.recipe.yaml.nodes import get, leaf_nodes, node_to_plain
from tunesmith.suggest import shorten
from tunesmith.terminal import one_line


def start_recipe(template: str | None, data: Path | None, out: Path | None, *, force: bool) -> str:
    """Write a recipe to start from; gives what to say about it.

    Args:
        template: name of a shipped recipe, or a path to any; None lets the data choose, or lists them all.
        data: the user's rows.
        out: the file to write; default: the template's name in the working directory.
        force: whether ``out`` may be replaced.

    Raises:
        UserError: no such template or data, data that fits no task, or a file that is there already.
    """
    shipped = templates()
    template, data = _data_as_argument(template, data, shipped)
    if template is None and data is None:
        return listing(shipped)
    seen = read_data_file(data) if data is not None else None
    found = guesses(seen.columns, seen.rows) if seen is not None else []
    source = choose_template(template, shipped, seen, found)
    target = out or Path(source.name)
    if data is not None and target.resolve() == data.resolve():
        raise UserError(f"`{target}` holds your rows", hint="name another file with `--out FILE`")
    if target.exists() and (not force or target.resolve() == source.resolve()):
        hint = "give another name with `--out FILE`, or replace it with `--force`"
        raise UserError(f"`{target}` is there already, and nothing was changed", hint=hint)
    text = _adapted(source, target)
    guess: Guess | None = None
    goal: list[str] = []
    own = source not in shipped.values()
    if seen is not None:
        named = node_to_plain(read_tree(source)).get("task")
        task = named.get("name") if isinstance(named, Mapping) else named
        guess = fitting(found, str(task), source.stem, seen)
        text = _fitted(text, seen, guess, target) if own else _composed(seen, guess, target, source)
        text, goal = above_baseline(text, guess, seen.rows)
    if LAUNCH_LINE in text.split("\n") and not is_launchable(text):
        what = f"with these names the recipe would be no program: `{one_line(str(target))}`"
        raise UserError(what, hint="rename the file or its columns: no three double quotes, no line breaks")
    _write(target, text)
    return _story(target, source, seen, guess, goal=goal, own=own)


def _data_as_argument(
    template: str | None, data: Path | None, shipped: Mapping[str, Path]
) -> tuple[str | None, Path | None]:
    """``init rows.jsonl`` means the rows: what is no recipe and is there is the user's data.

    Raises:
        UserError: it is given beside `--data`.
    """
    if template is None or template in shipped or template.endswith((".yaml", ".yml")):
        return template, data
    path = Path(template)
    if not path.exists():
        return template, data
    if data is not None:
        hint = f"write `tunesmith init --data {data}`, or name a recipe first"
        raise UserError(f"`{template}` is no recipe", hint=hint)
    return None, path


def _composed(seen: DataFile, guess: Guess, target: Path, source: Path) -> str:
    """A new recipe for the rows, with the model of a shipped one."""
    base, folder = node_to_plain(read_tree(source)), target.absolute().parent
    model = base["model"]
    if str(model.get("source")).endswith(
        (".yaml", ".yml")
    ):  # a base model that a recipe makes of its own rows
        model = node_to_plain(read_tree(source.absolute().parent / model["source"]))["model"]
        base = {**base, "model": model}
    if isinstance(model.get("source"), str) and kind_of(model["source"]) == "path":
        model["source"] = _relative(source.absolute().parent / model["source"], folder)
    rows = _relative(seen.path.absolute(), folder)
    made = compose(base, rows, seen, guess, target=target, name=source.stem)
    return made if is_launchable(made) else "\n".join(made.split("\n")[1:-2]) + "\n"


def _adapted(source: Path, target: Path) -> str:
    """The template's text, with its paths and its own name right for the new place."""
    text = source.read_text(encoding="utf-8")
    name = f"recipes/{source.name}"
    own = one_line(str(target))
    lines = [line.replace(name, own) if line.startswith("#") else line for line in text.split("\n")]
    folder = target.absolute().parent

    def moved(path: tuple[str, ...], value: str) -> str | None:
        is_source = path[-1:] in (("source",), ("extends",)) and kind_of(value) == "path"
        return _relative(source.absolute().parent / value, folder) if is_source else None

    text = replace_scalars("\n".join(lines), moved)
    return set_value(text, ("run", "dir"), f"runs/{target.stem}")


def _relative(path: Path, folder: Path) -> str:
    relative = os.path.relpath(path, folder)
    if relative.startswith("../../.."):
        return os.path.normpath(path)
    return relative if relative.startswith("..") else f"./{relative}"


def _fitted(text: str, seen: DataFile, guess: Guess, target: Path) -> str:
    named = {"columns": list(seen.names)} if seen.names is not None else {}
    rows = _relative(seen.path.absolute(), target.absolute().parent)
    text = fill_rows(text, rows, {**named, **guess.fields})
    node = get(_tree(text, target), ("data", "eval"))
    current = node_to_plain(node) if node is not None else None
    if not isinstance(current, dict):
        return text
    count = current.get("holdout", 0.1)
    too_many = seen.whole and isinstance(count, int | float) and count > len(seen.rows) / 3
    wanted: dict[str, object] = {"holdout": 0.2 if too_many or not isinstance(count, int | float) else count}
    if "stratify" in current and "label" in guess.fields:
        wanted["stratify"] = guess.fields["label"]
    return text if wanted == current else set_value(text, ("data", "eval"), wanted)


def _tree(text: str, target: Path) -> Any:
    from tunesmith.recipe.yaml.parse import parse

    return parse(text, str(target), target.absolute().parent)


def _write(target: Path, text: str) -> None:
    from tunesmith.checkpoint.atomic import write_text

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():  # the user said --force
            mode = target.stat().st_mode
            write_text(target, text, exact=True)
            target.chmod(mode)
        else:
            with target.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise UserError(
            f"cannot write `{target}`: {error.strerror}", hint="choose another `--out FILE`"
        ) from error


def _story(
    target: Path,
    source: Path,
    seen: DataFile | None,
    guess: Guess | None,
    *,
    goal: Sequence[str],
    own: bool,
) -> str:
    lines = [f"{target}: from recipe `{source.stem}`" + (f", for {seen.path}" if seen is not None else "")]
    checks = ["`data.train`: name your own rows"]
    if seen is not None and guess is not None:
        lines += ["", *_saw(seen, guess)]
        checks = [*guess.doubts, *_doubts(seen), *goal]
        checks += ["`stop`: its target was measured on the recipe's own data"] if own else []
        checks += ["`stop`: say what is good enough for you"] if not own else []
    checks += _modules(target, source)
    problem = _problem(target)
    checks += [f"this first: {problem}"] if problem else []
    lines += ["", *_labelled("check", checks)]
    next_up = [f"tunesmith preview {target}", f"tunesmith plan {target}"]
    start = "accelerate launch" if LAUNCH_LINE in target.read_text(encoding="utf-8") else "tunesmith run"
    lines += [
        "",
        *_labelled("next", [*next_up, f"{start} {target}"]),
    ]
    return "\n".join(lines)


def _saw(seen: DataFile, guess: Guess) -> list[str]:
    many = "row" if len(seen.rows) == 1 else "rows"
    count = f"{len(seen.rows):,} {many}" if seen.whole else f"the first {LOOKED_AT:,} rows"
    malformed = f", {seen.skipped} more that cannot be read" if seen.skipped else ""
    names = [name for spec in guess.fields.values() for name in columns_of(spec, seen.columns)]
    first = islice(((name, seen.rows[0].get(name)) for name in dict.fromkeys(names)), 4)
    return [
        *_labelled("saw", [f"{count}{malformed}; columns {one_line(', '.join(seen.columns[:12]))}"]),
        *_labelled("fields", [_field(*pair, seen) for pair in guess.fields.items()]),
        *_labelled("first", [f"{one_line(name)}: {_shown(value)}" for name, value in first]),
    ]


def _shown(value: object) -> str:
    # A picture, as a folder of them gives it.
    if isinstance(value, Mapping) and {"bytes", "path"} <= value.keys():
        return shorten(one_line(str(value["path"] or "a picture")), 72)
    return shorten(str(value), 72)


def _field(field: str, spec: str, seen: DataFile) -> str:
    return (
        f"{field}: column `{one_line(spec)}`"
        if spec in seen.columns
        else f"{field}: {shorten(repr(spec), 72)}"
    )


def _doubts(seen: DataFile) -> list[str]:
    """What should be looked at of the file as a whole."""
    if seen.names is None:
        return []
    names = ", ".join(seen.names[:6])
    return [f"the first line of {seen.path} is a row, not a header: its columns are named {names}"]


def _labelled(label: str, lines: Sequence[str]) -> list[str]:
    return [f"  {label if number == 0 else '':<8}{line}" for number, line in enumerate(lines)]


def _modules(target: Path, source: Path) -> list[str]:
    """Modules that stand beside the template and are not beside its copy."""
    missing: list[str] = []
    for path, node in leaf_nodes(_tree(target.read_text(encoding="utf-8"), target)):
        module = node.text.removeprefix("python:").partition(":")[0]
        file = source.absolute().parent / f"{module}.py"
        if path[-1] == "source" and node.text.startswith("python:") and file.is_file():
            there = target.absolute().parent / file.name
            missing += [] if there.exists() else [f"`{node.text}`: copy {file} beside the recipe"]
    return list(dict.fromkeys(missing))


def _problem(target: Path) -> str:
    try:
        load_recipe(target)
    except UserError as error:
        return str(error).split("\n", maxsplit=1)[0]
    return ""

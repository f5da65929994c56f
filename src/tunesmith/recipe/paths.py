"""Local paths in a recipe: found, made absolute, and looked for on the disk."""

from __future__ import annotations

import glob
import os.path
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tunesmith.recipe.finding import Finding
from tunesmith.recipe.source_syntax import has_pattern, is_row_id, kind_of, source_problem
from tunesmith.recipe.yaml.nodes import Node, ScalarNode, dotted, leaf_nodes, replace_at
from tunesmith.recipe.yaml.nodes import Path as NodePath
from tunesmith.suggest import nearest, shorten

_SOURCES = {
    ("model", "source"),
    ("model", "tokenizer", "source"),
    ("data", "train", "source"),
    ("data", "eval", "source"),
    ("data", "test", "source"),
    ("eval", "sets", "source"),
}
_TEMPLATE = ("model", "chat_template")
_HARNESS = ("eval", "harness")
_EXCLUDE = ("data", "exclude")


def absolute_paths(root: Node) -> Node:
    """The tree with every local path absolute; each is relative to the file in which it was written."""
    for path, node in leaf_nodes(root):
        name = _name(path[3:] if path[:2] == ("run", "variants") else path)
        is_path = (
            kind_of(node.text) == "path"
            if name in _SOURCES
            else (name == _TEMPLATE and _is_template_path(node))
            or (name == _HARNESS and node.text.endswith((".yaml", ".yml")))
            or (name == _EXCLUDE and bool(node.text) and not is_row_id(node.text))
        )
        if is_path and isinstance(node.value, str):
            full = os.path.normpath(node.spot.folder.absolute() / os.path.expanduser(node.value))
            root = replace_at(root, path, replace(node, value=full, plain=False))
    return root


def source_findings(root: Node) -> Iterator[Finding]:
    """Sources with bad syntax, and local files that are not there. ``root`` has absolute paths."""
    for path, node in leaf_nodes(root):
        if _name(path) == _TEMPLATE and _is_template_path(node):
            yield from _missing(path, node, must_be_file=True)
        if _name(path) == _HARNESS and node.text.endswith((".yaml", ".yml")):
            yield from _missing(path, node, must_be_file=True)
        if _name(path) == _EXCLUDE and isinstance(node.value, str) and not is_row_id(node.value):
            yield from _no_ids(path, node)
        if _name(path) not in _SOURCES or not isinstance(node.value, str):
            continue
        problem = source_problem(node.value)
        if problem is not None:
            yield Finding(f"`{dotted(path)}`: `{shorten(node.text)}` {problem[0]}", node.spot, problem[1])
        elif kind_of(node.value) == "path":
            yield from _missing(path, node, must_be_file=node.value.endswith((".yaml", ".yml")))
        elif kind_of(node.value) == "python" and path[0] == "model":
            hint = "name a model: `org/name`, `./folder` or `pypi:…`"
            yield Finding(f"`{dotted(path)}` cannot come from a function", node.spot, hint)


def _no_ids(path: NodePath, node: ScalarNode) -> Iterator[Finding]:
    """Neither a row's id nor a file of ids that is there."""
    form = "a row's id ends in a colon and its line or index, `train.jsonl:12`; a file has one id a line"
    if not node.value:
        yield Finding(f"`{dotted(path)}` is empty", node.spot, form)
    for finding in _missing(path, node, must_be_file=True) if node.value else ():
        yield replace(finding, hint="; ".join(part for part in (finding.hint, form) if part))


def _name(path: NodePath) -> tuple[str, ...]:
    """The path without list positions and names of sets, and with dotted keys (of variants) taken apart."""
    name = tuple(part for step in path for part in str(step).split(".") if not part.isdigit())
    return (*name[:2], *name[3:]) if name[:2] == ("eval", "sets") else name


def _is_template_path(node: ScalarNode) -> bool:
    """Jinja text has braces or several lines; a path has neither, and ``none`` means that there is none."""
    if not isinstance(node.value, str) or node.value in ("", "none"):
        return False
    return not any(sign in node.value for sign in "{}\n")


def _missing(path: NodePath, node: ScalarNode, must_be_file: bool) -> Iterator[Finding]:
    wanted = Path(str(node.value))
    if not must_be_file and has_pattern(str(wanted)) and not os.path.exists(wanted):
        if next(glob.iglob(str(wanted), recursive=True), None) is None:
            yield Finding(
                f"`{dotted(path)}`: the pattern matches no file: {shorten(str(wanted), 120)}", node.spot
            )
        return
    try:
        if wanted.is_file() if must_be_file else wanted.exists():
            return
        near = (
            nearest(wanted.name, sorted(os.listdir(wanted.parent))[:2000]) if wanted.parent.is_dir() else None
        )
    except OSError as error:
        yield Finding(f"`{dotted(path)}`: {error.strerror}", node.spot)
        return
    kind = "file" if must_be_file else "file or folder"
    folder = node.text.rpartition("/")[0] or "."
    hint = f"did you mean `{folder}/{near}`?" if near else _relative_hint(node)
    yield Finding(f"`{dotted(path)}`: there is no {kind} `{shorten(str(wanted), 120)}`", node.spot, hint)


def _relative_hint(node: ScalarNode) -> str:
    if node.text.startswith(("/", "~")):
        return ""
    if not node.spot.line:
        return "paths on the command line are relative to the working directory"
    return "paths in a recipe are relative to the recipe's folder"

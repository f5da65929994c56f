"""A recipe file to a tree: the launch key dropped, ``extends`` followed."""

from __future__ import annotations

import os.path
from dataclasses import replace
from pathlib import Path

from tunesmith.recipe.finding import Finding, RecipeTrouble, Spot, nearest
from tunesmith.recipe.launchable import LAUNCH_KEY
from tunesmith.recipe.merge import merge
from tunesmith.recipe.nodes import MapNode, ScalarNode, describe
from tunesmith.recipe.schema import Recipe
from tunesmith.recipe.yaml_nodes import parse
from tunesmith.recipe.yaml_text import MAX_BYTES, decode

_MAX_CHAIN = 20


def read_tree(path: Path) -> MapNode:
    """The recipe at ``path`` with everything it extends, unvalidated.

    Raises:
        RecipeTrouble: a file that is missing or unreadable, bad YAML, a circle of ``extends``.
    """
    return _read(path, Spot(str(path)), ())


def _read(path: Path, asked_at: Spot, chain: tuple[Path, ...]) -> MapNode:
    real = path.resolve()
    if real in chain or len(chain) >= _MAX_CHAIN:
        circle = " -> ".join(file.name for file in (*chain, real))
        raise RecipeTrouble(
            [Finding(f"`extends` runs in a circle: {circle}", asked_at, "take one `extends` away")]
        )
    tree = own_tree(_bytes(path, asked_at), path)
    entry = tree.entries.get("extends")
    if entry is None:
        return tree
    own = tree.with_entry("extends", None)
    if isinstance(entry.node, ScalarNode) and entry.node.value is None:
        return own
    if not (isinstance(entry.node, ScalarNode) and isinstance(entry.node.value, str)):
        what = f"`extends` must be the path of one recipe; got {describe(entry.node)}"
        raise RecipeTrouble([Finding(what, entry.node.spot, "write `extends: ./base.yaml`")])
    base_path = Path(os.path.normpath(path.parent / os.path.expanduser(entry.node.value)))
    merged = merge(Recipe, _read(base_path, entry.node.spot, (*chain, real)), own)
    assert isinstance(merged, MapNode)
    return merged


def own_tree(raw: bytes, path: Path) -> MapNode:
    """The recipe in these bytes alone, unvalidated; nothing that it extends is read.

    Args:
        raw: content of the file.
        path: of the file, for what is said of it.

    Raises:
        RecipeTrouble: bad YAML, or no mapping.
    """
    folder = path.parent.absolute()
    node = parse(decode(raw, str(path), folder), str(path), folder)
    start = Spot(str(path), folder, 1, 1)
    if node is None or (isinstance(node, ScalarNode) and node.value is None):
        raise RecipeTrouble(
            [Finding("the file is empty", start, "`tunesmith init` writes a recipe to start from")]
        )
    if not isinstance(node, MapNode):
        what = f"a recipe is a mapping of sections; this is {describe(node)}"
        raise RecipeTrouble([Finding(what, node.spot, "start with `task: causal-lm`")])
    rest = node.with_entry(LAUNCH_KEY, None)
    first = next(iter(rest.entries.values()), None)
    return replace(rest, spot=first.spot if first is not None else start)


def _bytes(path: Path, asked_at: Spot) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise RecipeTrouble([Finding(f"`{path}` is not a file", asked_at, "name the recipe file in it")])
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        folder = path.parent
        others = sorted(other.name for other in folder.glob("*.y*ml"))[:500] if folder.is_dir() else []
        near = nearest(path.name, others)
        hint = (
            f"did you mean `{folder / near}`?" if near else "`tunesmith init` writes a recipe to start from"
        )
        raise RecipeTrouble([Finding(f"there is no recipe `{path}`", asked_at, hint)]) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RecipeTrouble([Finding(f"cannot read `{path}`: {reason}", asked_at)]) from None

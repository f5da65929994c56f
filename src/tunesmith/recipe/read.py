"""A recipe file to a tree: the launch key dropped, ``extends`` followed."""

from __future__ import annotations

import os.path
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunesmith.recipe.check import introspect
from tunesmith.recipe.check.schema_errors import mapping_name, meant
from tunesmith.recipe.finding import Finding, RecipeTrouble, Spot
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.yaml.launchable import LAUNCH_KEY
from tunesmith.recipe.yaml.nodes import Entry, MapNode, Node, ScalarNode, describe_node, is_null
from tunesmith.recipe.yaml.parse import parse
from tunesmith.recipe.yaml.text import MAX_BYTES, decode
from tunesmith.suggest import nearest

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
        what = f"`extends` must be the path of one recipe; got {describe_node(entry.node)}"
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
        what = f"a recipe is a mapping of sections; this is {describe_node(node)}"
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


def merge(annotation: Any | None, base: Node, child: Node) -> Node:
    """``child`` over ``base``: mappings merge key by key, everything else is replaced.

    A mapping that is another kind of section replaces too: ``eval: {source: …}`` over ``eval: {holdout: …}``.

    Args:
        annotation: what stands here by the schema; None for an unknown key.
        base: what is built on.
        child: what is said now.
    """
    base = named_mapping(annotation, base) if isinstance(child, MapNode) else base
    if not (isinstance(base, MapNode) and isinstance(child, MapNode)):
        return child
    if changes_kind(annotation, base, child):
        return MapNode({key: one for key, one in child.entries.items() if not is_null(one.node)}, child.spot)
    entries = dict(base.entries)
    for key, entry in child.entries.items():
        old = entries.get(key)
        below = introspect.child(annotation, key) if annotation is not None else None
        node = entry.node if old is None else merge(below, old.node, entry.node)
        entries[key] = Entry(entry.spot, node, over=old is not None)
    return MapNode(entries, child.spot)


def named_mapping(annotation: Any | None, node: Node) -> Node:
    """A word that stands for a mapping with a name, ``task: regression``, as that mapping."""
    words = isinstance(node, ScalarNode) and isinstance(node.value, str)
    if words and annotation is not None and introspect.tagged(annotation):
        return MapNode({"name": Entry(node.spot, node)}, node.spot)
    return node


def changes_kind(annotation: Any | None, base: MapNode, child: MapNode) -> bool:
    """Whether the two are different sections of a place where several kinds may stand."""
    models = (
        [one for one in introspect.alternatives(annotation) if introspect.as_model(one)] if annotation else []
    )
    if len(models) < 2:
        return False
    if introspect.tagged(annotation):
        named, before = mapping_name(child), mapping_name(base)
        return "" not in (named, before) and named != before
    kinds = [set(introspect.keys(meant(annotation, node))) for node in (base, child)]
    said = {key for key, entry in child.entries.items() if not is_null(entry.node)}
    return kinds[0] != kinds[1] and bool(said) and not said & kinds[0]

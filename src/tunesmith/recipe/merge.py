"""One tree over another: what ``extends`` and variants do."""

from __future__ import annotations

from typing import Any

from tunesmith.recipe import grammar
from tunesmith.recipe.explain import meant
from tunesmith.recipe.nodes import Entry, MapNode, Node, is_null


def merge(annotation: Any | None, base: Node, child: Node) -> Node:
    """``child`` over ``base``: mappings merge key by key, everything else is replaced.

    A mapping that is another kind of section replaces too: ``eval: {source: …}`` over ``eval: {holdout: …}``.

    Args:
        annotation: what stands here by the schema; None for an unknown key.
        base: what is built on.
        child: what is said now.
    """
    if not (isinstance(base, MapNode) and isinstance(child, MapNode)):
        return child
    if changes_kind(annotation, base, child):
        return MapNode({key: one for key, one in child.entries.items() if not is_null(one.node)}, child.spot)
    entries = dict(base.entries)
    for key, entry in child.entries.items():
        old = entries.get(key)
        below = grammar.child(annotation, key) if annotation is not None else None
        node = entry.node if old is None else merge(below, old.node, entry.node)
        entries[key] = Entry(entry.spot, node, over=old is not None)
    return MapNode(entries, child.spot)


def changes_kind(annotation: Any | None, base: MapNode, child: MapNode) -> bool:
    """Whether the two are different sections of a place where several kinds may stand."""
    models = [one for one in grammar.alternatives(annotation) if grammar.as_model(one)] if annotation else []
    if len(models) < 2:
        return False
    kinds = [set(grammar.keys(meant(annotation, node))) for node in (base, child)]
    said = {key for key, entry in child.entries.items() if not is_null(entry.node)}
    return kinds[0] != kinds[1] and bool(said) and not said & kinds[0]

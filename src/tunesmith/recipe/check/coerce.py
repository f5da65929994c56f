"""Small kindnesses between what was written and what the schema wants, before it is validated.

``null`` means "none" where that is a value, and "as if not written" elsewhere; where only text is
expected, a word such as ``no``, ``2024`` or ``1e5`` stands for itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tunesmith.recipe.check import introspect
from tunesmith.recipe.check.schema_errors import meant
from tunesmith.recipe.yaml.nodes import Entry, ListNode, MapNode, Node, ScalarNode, is_null


def fit(annotation: Any, node: Node) -> Node:
    """The tree with nulls resolved and words taken as text, following the schema."""
    if isinstance(node, ScalarNode):
        word = node.plain and node.value is not None and not isinstance(node.value, str)
        return replace(node, value=node.text) if word and introspect.is_text(annotation) else node
    if annotation is Any:
        return _fit_free(node)
    member = meant(annotation, node)
    if member is None:
        return node
    item = introspect.item_type(member)
    if isinstance(node, ListNode):
        return replace(node, items=tuple(fit(item, below) for below in node.items))
    if item is not None:
        return fit(item, node) if introspect.takes_one(annotation) else node
    entries: dict[str, Entry] = {}
    for key, entry in node.entries.items():
        below = introspect.child(member, key)
        if below is None:  # an unknown key is explained later, unless it only takes something away
            entries |= {} if entry.over and is_null(entry.node) else {key: entry}
        elif not is_null(entry.node):
            entries[key] = replace(entry, node=fit(below, entry.node))
        elif (below is Any and not entry.over) or introspect.admits_none(below):
            entries[key] = entry
    return replace(node, entries=entries)


def _fit_free(node: Node) -> Node:
    """In a free mapping ``null`` is a value, unless it takes away what was inherited."""
    if isinstance(node, ListNode):
        return replace(node, items=tuple(_fit_free(item) for item in node.items))
    if not isinstance(node, MapNode):
        return node
    kept: dict[str, Entry] = {
        key: replace(entry, node=_fit_free(entry.node))
        for key, entry in node.entries.items()
        if not (entry.over and is_null(entry.node))
    }
    return replace(node, entries=kept)

"""``key.path=value`` on the command line, and the same changes written as a variant of a recipe."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunesmith.recipe.check import introspect
from tunesmith.recipe.finding import Finding, RecipeTrouble, Spot
from tunesmith.recipe.read import changes_kind, merge, named_mapping
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.yaml.nodes import (
    Entry,
    ListNode,
    MapNode,
    Node,
    ScalarNode,
    dotted,
    get,
    is_null,
    moved,
)
from tunesmith.recipe.yaml.parse import parse, with_quotes
from tunesmith.redact import is_secret_key, is_secret_value, redact
from tunesmith.suggest import shorten


def apply_overrides(tree: MapNode, overrides: Sequence[str]) -> tuple[MapNode, list[Finding]]:
    """The tree with every ``key.path=value`` set, in order, and what is wrong with those that could not be.

    Values are YAML; where only text is expected, a value stands for itself. ``key=`` and ``key=null`` unset.
    """
    findings: list[Finding] = []
    for text in overrides:
        try:
            tree = _apply_one(tree, text)
        except RecipeTrouble as trouble:
            findings += trouble.findings
    return tree, findings


def apply_variant(tree: MapNode, changes: MapNode) -> MapNode:
    """The tree with a variant's changes merged in, as if it extended the recipe; keys may be dotted.

    Raises:
        RecipeTrouble: a dotted key that leads nowhere.
    """
    for key, entry in changes.entries.items():
        path = key.split(".")
        old = get(tree, [int(step) if step.isdigit() else step for step in path])
        new = entry.node if old is None else merge(_type_at(path), old, entry.node)
        changed = _set(tree, Recipe, path, (), Entry(entry.spot, new))
        assert isinstance(changed, MapNode)
        tree = changed
    return tree


def _apply_one(tree: MapNode, text: str) -> MapNode:
    key, equals, raw = text.partition("=")
    path = key.split(".")
    hidden = any(is_secret_key(step, raw) for step in path) or is_secret_value(text)
    label = shorten(redact(key)) + equals + ("…" if hidden else shorten(raw))
    spot = Spot(f"override `{label}`", Path.cwd())
    if not equals or not all(path) or key != key.strip() or key.startswith("-"):
        bare = key.lstrip("-")
        hint = (
            f"write `{bare}={raw or 'VALUE'}`"
            if key.startswith("-")
            else "write `key.path=value`, without blanks"
        )
        raise RecipeTrouble([Finding("this is not an override", spot, hint)])
    try:
        node = _value(_type_at(path), raw, spot)
    except RecipeTrouble as trouble:
        found = [
            one if hidden else replace(one, hint=_in_shell(one.hint, key, raw)) for one in trouble.findings
        ]
        raise RecipeTrouble(found) from None
    changed = _set(tree, Recipe, path, (), Entry(spot, node))
    assert isinstance(changed, MapNode)
    return changed


def _type_at(path: Sequence[str]) -> Any | None:
    annotation: Any | None = Recipe
    for step in path:
        annotation = None if annotation is None else introspect.child(annotation, step)
    return annotation


def _value(annotation: Any | None, raw: str, spot: Spot) -> Node:
    itself = ScalarNode(raw, raw, False, spot)
    text = annotation is not None and introspect.is_text(annotation)
    try:
        node = parse(raw, spot.name, spot.folder)
    except RecipeTrouble as trouble:
        if text:
            return itself
        raise RecipeTrouble([Finding(one.what, spot, one.hint) for one in trouble.findings]) from None
    if node is None or is_null(node):
        return ScalarNode(None, raw, True, spot)
    keeps_quotes = isinstance(node, ScalarNode) and not node.plain
    return itself if text and not keeps_quotes else moved(node, spot)


def _in_shell(hint: str, key: str, raw: str) -> str:
    """The way out, and how a shell is kept from taking it away: it eats quotes that stand in no others."""
    mended = with_quotes(raw)
    if mended == raw:
        return hint
    return f"{hint}; for a shell write {shorten(shlex.quote(f'{key}={mended}'), 120)}"


def _set(
    node: Node | None, annotation: Any | None, path: Sequence[str], done: tuple[str, ...], new: Entry
) -> Node:
    """The tree with ``new`` at ``path``, and with whatever is missing on the way."""
    if not path:
        return new.node
    node = None if node is None else named_mapping(annotation, node)
    step, rest, here = path[0], path[1:], (*done, path[0])
    below = introspect.child(annotation, step) if annotation is not None else None
    items = (
        [one for one in introspect.alternatives(annotation) if introspect.item_type(one)]
        if annotation
        else []
    )
    if isinstance(node, ListNode):
        return _set_item(node, below, path, done, new)
    if items and step == "0" and not (isinstance(node, ScalarNode) and node.value is not None):
        if isinstance(node, MapNode):  # one mapping where a list of them is allowed
            return _set(node, below, rest, here, new)
        return ListNode((_set(None, below, rest, here, new),), new.spot)
    if isinstance(node, ScalarNode) and node.value is not None and below is None:
        hint = f"`{dotted(done)}` is a single value, {shorten(node.text)}: write `{dotted(done)}=…`"
        raise RecipeTrouble([Finding(f"there is nothing below `{dotted(done)}`", new.spot, hint)])
    mapping = node if isinstance(node, MapNode) else MapNode({}, new.spot)
    if changes_kind(annotation, mapping, MapNode({step: new}, new.spot)):
        mapping = MapNode({}, new.spot)
    old = mapping.entries.get(step)
    changed = _set(old.node if old is not None else None, below, rest, here, new)
    spot = new.spot if not rest or old is None else old.spot
    return mapping.with_entry(step, Entry(spot, changed, over=old is not None))


def _set_item(
    node: ListNode, below: Any | None, path: Sequence[str], done: tuple[str, ...], new: Entry
) -> ListNode:
    step, rest, count = path[0], path[1:], len(node.items)
    if not (step.isascii() and step.isdigit() and len(step) < 6 and int(step) < count):
        have = (
            f"it has items 0 to {count - 1}"
            if count > 1
            else "it has item 0 alone"
            if count
            else "it is empty"
        )
        first = dotted((*done, "0", *(path[1:] if step.isdigit() else path)))
        hint = f"{have}; write e.g. `{first}=…`"
        raise RecipeTrouble(
            [Finding(f"`{dotted(done)}` is a list and has no `{shorten(step)}`", new.spot, hint)]
        )
    index = int(step)
    items = list(node.items)
    changed = _set(items[index], below, rest, (*done, step), new)
    items[index : index + 1] = [] if not rest and is_null(changed) else [changed]
    return ListNode(tuple(items), node.spot)

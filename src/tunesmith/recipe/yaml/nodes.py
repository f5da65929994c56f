"""A recipe as a tree of values that know where they were written, and the ways to change such a tree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunesmith.recipe.finding import Spot
from tunesmith.suggest import shorten

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ScalarNode:
    """One value. ``text`` is what was written; ``plain`` says that it stood without quotes."""

    value: Plain
    text: str
    plain: bool
    spot: Spot


@dataclass(frozen=True, slots=True, eq=False)
class ListNode:
    """A list of nodes."""

    items: tuple[Node, ...]
    spot: Spot


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A key's place and its value; ``over`` says that the value replaced an inherited one."""

    spot: Spot
    node: Node
    over: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class MapNode:
    """A mapping from text to nodes, in the order of the file."""

    entries: Mapping[str, Entry]
    spot: Spot

    def with_entry(self, key: str, entry: Entry | None) -> MapNode:
        """The same mapping with one entry replaced, or left out where ``entry`` is None."""
        kept = {name: old for name, old in self.entries.items() if entry is not None or name != key}
        return MapNode(kept if entry is None else {**kept, key: entry}, self.spot)


Node = ScalarNode | ListNode | MapNode


def node_to_plain(node: Node) -> Any:
    """The tree as dicts, lists and values."""
    if isinstance(node, MapNode):
        return {key: node_to_plain(entry.node) for key, entry in node.entries.items()}
    return [node_to_plain(item) for item in node.items] if isinstance(node, ListNode) else node.value


def leaf_nodes(node: Node, path: Path = ()) -> Iterator[tuple[Path, ScalarNode]]:
    """Every single value with its path."""
    if isinstance(node, ScalarNode):
        yield path, node
    elif isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            yield from leaf_nodes(item, (*path, index))
    else:
        for key, entry in node.entries.items():
            yield from leaf_nodes(entry.node, (*path, key))


def moved(node: Node, spot: Spot) -> Node:
    """The tree as if all of it stood at one place."""
    if isinstance(node, ListNode):
        return ListNode(tuple(moved(item, spot) for item in node.items), spot)
    if isinstance(node, MapNode):
        entries = {key: Entry(spot, moved(entry.node, spot)) for key, entry in node.entries.items()}
        return MapNode(entries, spot)
    return replace(node, spot=spot)


def is_null(node: Node) -> bool:
    """Whether the node says "nothing": ``null``, ``~`` or an empty value."""
    return isinstance(node, ScalarNode) and node.value is None


def get(node: Node, path: Sequence[str | int]) -> Node | None:
    """The node at ``path``, or None."""
    for step in path:
        found = _child(node, step)
        if found is None:
            return None
        node = found
    return node


def _child(node: Node, step: str | int) -> Node | None:
    if isinstance(node, MapNode) and step in node.entries:
        return node.entries[str(step)].node
    if isinstance(node, ListNode) and isinstance(step, int) and step < len(node.items):
        return node.items[step]
    # One mapping may stand where the schema has a list of them (`data.train`): it is the list's first item.
    return node if isinstance(node, MapNode) and step == 0 else None


def key_spot(root: Node, path: Sequence[str | int]) -> Spot:
    """Where the deepest existing part of ``path`` is named: its key, or its item in a list."""
    spot, node = root.spot, root
    for step in path:
        found = _child(node, step)
        if found is None:
            break
        if found is not node:
            spot = node.entries[str(step)].spot if isinstance(node, MapNode) else found.spot
        node = found
    return spot


def value_spot(root: Node, path: Sequence[str | int]) -> Spot:
    """Where the value at ``path`` stands; the key's place if it is a section or is not there."""
    node = get(root, path)
    return node.spot if isinstance(node, ScalarNode) else key_spot(root, path)


def replace_at(node: Node, path: Path, new: Node) -> Node:
    """The tree with the existing node at ``path`` replaced."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(node, MapNode):
        entry = node.entries[str(step)]
        return node.with_entry(str(step), Entry(entry.spot, replace_at(entry.node, rest, new), entry.over))
    assert isinstance(node, ListNode)
    assert isinstance(step, int)
    items = list(node.items)
    items[step] = replace_at(items[step], rest, new)
    return ListNode(tuple(items), node.spot)


def dotted(path: Sequence[str | int]) -> str:
    """``("stop", 0, "target")`` as ``stop.0.target``."""
    return ".".join(shorten(str(step)) for step in path)


def describe_node(node: Node) -> str:
    """The node as a person would name it in "got …"."""
    if isinstance(node, MapNode):
        return "an empty mapping" if not node.entries else "a mapping"
    if isinstance(node, ListNode):
        return "an empty list" if not node.items else "a list"
    if node.value is None:
        return "nothing"
    shown = shorten(node.text)
    if isinstance(node.value, str):
        return f"`{shown}`" if node.plain else f"the text `{shown}`"
    return shown


Plain = str | int | float | bool | None

_WORDS: dict[str, Plain] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
INTEGER = re.compile(r"[-+]?[0-9]{1,100}")
BASED = re.compile(r"0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]{1,100}|[0-9]{1,100}(?:\.[0-9]{0,100})?)(?:[eE][-+]?[0-9]{1,9})?")


def resolve_scalar(text: str) -> Plain:
    """The value of an unquoted word: nothing, true or false, a number, or itself.

    A run of more than a hundred digits stays text: it is a name or a slip, never a quantity.
    """
    if text in _WORDS:
        return _WORDS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    if BASED.fullmatch(text):
        return int(text, 0)
    return float(text) if FLOAT.fullmatch(text) else text

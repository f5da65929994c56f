"""A recipe's text with some values replaced, its comments and layout kept.

The places come from YAML's nodes; the text between them is not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import yaml

from tunesmith.recipe.dump import scalar_text
from tunesmith.recipe.schema.data import Rows

Edit = tuple[int, int, str]
"""From, to, and what to put there; positions in the text."""


def replace_scalars(text: str, change: Callable[[tuple[str, ...], str], str | float | None]) -> str:
    """Replace single values.

    Args:
        text: a recipe.
        change: from the keys above a value (list positions left out) and the value to a new one, or None.
    """
    edits: list[Edit] = []
    for path, node in _scalars(_root(text), ()):
        new = change(path, node.value)
        if new is not None and new != node.value:
            edits.append(_over(node, new))
    return _edited(text, edits)


def fill_rows(text: str, source: str, fields: Mapping[str, object]) -> str:
    """Let ``data.train`` be one source with these fields; what belonged to the old source goes.

    Args:
        text: a recipe with a ``data.train``.
        source: the new source.
        fields: field -> column or template.
    """
    train = _find(_root(text), ("data", "train"))
    if isinstance(train, yaml.SequenceNode):
        edits = [_lines_of(text, item, item) for item in train.value[1:]] if not train.flow_style else []
        text = _edited(text, edits)
        train = _find(_root(text), ("data", "train"))
        assert isinstance(train, yaml.SequenceNode)
        rows = train if train.flow_style else train.value[0]
    else:
        rows = train
    new = {"source": source, **fields}
    if not isinstance(rows, yaml.MappingNode) or rows.flow_style:
        assert rows is not None
        return _edited(text, [(rows.start_mark.index, rows.end_mark.index, _flow(new))])
    return _edited(text, _block_edits(text, rows, new))


def _block_edits(text: str, rows: yaml.MappingNode, new: Mapping[str, object]) -> list[Edit]:
    edits: list[Edit] = []
    present = [key.value for key, _ in rows.value]
    added = [f"{name}: {scalar_text(value)}" for name, value in new.items() if name not in present]
    indent = " " * rows.start_mark.column
    for key, value in rows.value:
        if key.value in new:
            edits.append(_over(value, new[key.value]))
        elif key.value in Rows.model_fields:
            edits.append(_lines_of(text, key, value))
        if key.value == "source" and added:
            end = _line_end(text, value)
            edits.append((end, end, "".join(f"\n{indent}{line}" for line in added)))
    return edits


def set_value(text: str, path: Sequence[str], value: Mapping[str, object] | str) -> str:
    """Put a value, or a short mapping, in place of what stands at ``path``, if the key is there."""
    node = _find(_root(text), path)
    if node is None:
        return text
    if isinstance(value, str) and isinstance(node, yaml.ScalarNode):
        return _edited(text, [_over(node, value)])
    new = scalar_text(value) if isinstance(value, str) else _flow(value)
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        key = _key(_root(text), path)
        return _edited(text, [(key.end_mark.index, _line_end(text, _last(node)), f": {new}")])
    return _edited(text, [(node.start_mark.index, node.end_mark.index, new)])


def _flow(values: Mapping[str, object]) -> str:
    return "{" + ", ".join(f"{key}: {scalar_text(value)}" for key, value in values.items()) + "}"


def _over(node: yaml.Node, new: object) -> Edit:
    block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
    return node.start_mark.index, node.end_mark.index, scalar_text(new) + ("\n" if block else "")


def _root(text: str) -> yaml.Node:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    assert node is not None, "a template is never empty"
    return node


def _find(node: yaml.Node | None, path: Sequence[str]) -> yaml.Node | None:
    for step in path:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for key, value in pairs if key.value == step), None)
    return node


def _key(root: yaml.Node, path: Sequence[str]) -> yaml.Node:
    above = _find(root, path[:-1])
    assert isinstance(above, yaml.MappingNode)
    found: yaml.Node = next(key for key, _ in above.value if key.value == path[-1])
    return found


def _scalars(node: yaml.Node, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], yaml.ScalarNode]]:
    if isinstance(node, yaml.ScalarNode):
        return [(path, node)]
    pairs = node.value if isinstance(node, yaml.MappingNode) else [(None, item) for item in node.value]
    below = [_scalars(value, path if key is None else (*path, key.value)) for key, value in pairs]
    return [one for ones in below for one in ones]


def _last(node: yaml.Node) -> yaml.Node:
    """The node that ends last; a block collection's own end mark lies beyond the comments below it."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        node = node.value[-1][1] if isinstance(node, yaml.MappingNode) else node.value[-1]
    return node


def _line_end(text: str, node: yaml.Node) -> int:
    """Where the line ends on which the node ends, a comment behind it included."""
    last = _last(node)
    end: int = last.end_mark.index
    if isinstance(last, yaml.ScalarNode) and last.style in ("|", ">"):
        end -= len(text[:end]) - len(text[:end].rstrip("\n"))
    found = text.find("\n", end)
    return len(text) if found < 0 else found


def _lines_of(text: str, first: yaml.Node, last: yaml.Node) -> Edit:
    start = text.rfind("\n", 0, first.start_mark.index) + 1
    return start, min(len(text), _line_end(text, last) + 1), ""


def _edited(text: str, edits: Sequence[Edit]) -> str:
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text

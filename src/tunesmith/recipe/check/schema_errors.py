"""Why a tree does not fit the schema: every mistake, each in one sentence of the same kind.

pydantic decides *whether* a recipe is valid; this walk over the schema and the tree says *what* is wrong,
because a union's error list ("not a `str`", "not a `LayerRange`" …) helps nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from annotated_types import MinLen
from pydantic import BaseModel, TypeAdapter, ValidationError

from tunesmith.metrics.names import USER_PREFIX
from tunesmith.recipe.check import introspect
from tunesmith.recipe.check.aliases import VALUES, habit
from tunesmith.recipe.finding import Finding
from tunesmith.recipe.schema.quantities import whole_step_hint
from tunesmith.recipe.yaml.nodes import (
    Entry,
    ListNode,
    MapNode,
    Node,
    Path,
    describe_node,
    dotted,
    is_null,
    node_to_plain,
)
from tunesmith.suggest import nearest, shorten


def explain_schema_errors(
    annotation: Any, node: Node, path: Path = (), entry: Entry | None = None
) -> Iterator[Finding]:
    """Yield what is wrong with ``node``, which should have been an ``annotation``.

    Args:
        annotation: type with constraints, from the schema.
        node: what was written.
        path: where it stands, for the message.
        entry: the key it stands under, for the place of messages about the section as a whole.
    """
    member = meant(annotation, node)
    model, item, value = (
        (introspect.as_model(member), introspect.item_type(member), introspect.value_type(member))
        if member is not None
        else (None, None, None)
    )
    if model is not None and isinstance(node, MapNode):
        yield from _in_section(model, node, path, entry)
    elif item is not None and isinstance(node, ListNode) and (node.items or not _needs_items(annotation)):
        for index, below in enumerate(node.items):
            yield from explain_schema_errors(item, below, (*path, index))
    elif item is not None and isinstance(node, MapNode) and introspect.takes_one(annotation):
        yield from explain_schema_errors(
            item, node, path, entry
        )  # one mapping where a list of them is allowed
    elif value is not None and isinstance(node, MapNode):
        for key, below_entry in node.entries.items():
            yield from explain_schema_errors(value, below_entry.node, (*path, key), below_entry)
    elif isinstance(node, MapNode) and introspect.tagged(annotation):
        yield _unknown_name(annotation, node, path)
    elif not _fits(annotation, node):
        spot = entry.spot if entry is not None and not hasattr(node, "value") else node.spot
        what = f"`{dotted(path)}` must be {introspect.expected(annotation)}; got {describe_node(node)}"
        yield Finding(what, spot, _hint(annotation, node), key=dotted(path))


def meant(annotation: Any, node: Node) -> Any | None:
    """The alternative that the writer had in mind: by kind, then by how many of its keys were used."""
    options = introspect.alternatives(annotation)
    if isinstance(node, ListNode):
        return next((one for one in options if introspect.item_type(one) is not None), None)
    if not isinstance(node, MapNode):
        return None
    if names := introspect.tagged(annotation):
        return names.get(USER_PREFIX if mapping_name(node).startswith(USER_PREFIX) else mapping_name(node))
    models = [one for one in options if introspect.as_model(one) is not None]
    if models:
        return max(models, key=lambda one: _likeness(node, introspect.keys(one)))
    kinds = (introspect.value_type, introspect.item_type)
    return next((one for one in options if any(kind(one) is not None for kind in kinds)), None)


def mapping_name(node: MapNode) -> str:
    """What stands under ``name``."""
    entry = node.entries.get("name")
    return str(getattr(entry.node, "text", "")) if entry is not None else ""


def _likeness(node: MapNode, known: list[str]) -> tuple[float, int]:
    """How many keys are right, misspelt ones counting half; then the smaller section."""
    written = [key for key, entry in node.entries.items() if not is_null(entry.node)][:50]
    right = sum(key in known for key in written)
    near = sum(key not in known and nearest(key, known) is not None for key in written)
    return right + near / 2, -len(known)


def _unknown_name(annotation: Any, node: MapNode, path: Path) -> Finding:
    """A mapping whose ``name`` is none of those that there are, or is missing."""
    entry, known = node.entries.get("name"), introspect.expected(annotation)
    if entry is None:
        return Finding(f"`{dotted((*path, 'name'))}` is missing", node.spot, f"add `name:`, {known}")
    what = f"`{dotted((*path, 'name'))}` must be {known}; got {describe_node(entry.node)}"
    return Finding(what, entry.node.spot, _hint(annotation, entry.node))


def _in_section(model: type[BaseModel], node: MapNode, path: Path, entry: Entry | None) -> Iterator[Finding]:
    fields = model.model_fields
    guesses: set[str | None] = set()
    for key, below in node.entries.items():
        if key in fields:
            yield from explain_schema_errors(
                introspect.field_type(fields[key]), below.node, (*path, key), below
            )
        elif model.model_config.get("extra") != "allow":
            known = habit(key, dotted(path))
            guesses.add(nearest(key, list(fields)))
            guesses.add(_within(known.key if known is not None else "", path))
            yield _unknown(key, below, list(fields), path)
    for name, field in fields.items():
        if field.is_required() and name not in node.entries and name not in guesses:
            whole, spot = dotted((*path, name)), entry.spot if entry is not None else node.spot
            hint = f"add `{name}:`, {introspect.expected(introspect.field_type(field))}"
            yield Finding(f"`{whole}` is missing", spot, hint, key=whole)


def _unknown(key: str, entry: Entry, known: list[str], path: Path) -> Finding:
    other, whole = habit(key, dotted(path)), dotted((*path, key))
    if other is not None:
        return Finding(f"unknown key `{whole}`", entry.spot, other.hint(), key=whole)
    known = sorted(known if path else [*known, "extends"])
    near = nearest(key, known)
    guess = f"did you mean `{near}`? Keys" if near else "keys"
    return Finding(f"unknown key `{whole}`", entry.spot, f"{guess} here: {', '.join(known)}", key=whole)


def _within(key: str, path: Path) -> str | None:
    """The key of this section that leads to a dotted one, if one does."""
    steps, here = key.split("."), [str(step) for step in path]
    return steps[len(here)] if steps[: len(here)] == here and len(steps) > len(here) else None


def _needs_items(annotation: Any) -> bool:
    return any(isinstance(one, MinLen) for one in introspect.bare(annotation)[1])


def _fits(annotation: Any, node: Node) -> bool:
    if annotation is Any:
        return True
    try:
        TypeAdapter(annotation).validate_python(node_to_plain(node))
    except ValidationError:
        return False
    return True


def _hint(annotation: Any, node: Node) -> str:
    words = [word for one in introspect.alternatives(annotation) for word in introspect.literal_words(one)]
    words += [name for name in introspect.tagged(annotation) if name != USER_PREFIX]
    text = getattr(node, "text", "")
    if isinstance(node, MapNode) and any(
        introspect.item_type(one) for one in introspect.alternatives(annotation)
    ):
        return "begin each item with `-`"
    near = VALUES.get(text.lower())
    near = near if near in words else nearest(text, words) if text else None
    if near:
        return f"did you mean `{near}`?"
    if introspect.is_frequency(annotation) and (hint := whole_step_hint(getattr(node, "value", None))):
        return hint
    if introspect.is_text(annotation) and not text:
        return "text that holds `: ` or starts with `{` or `[` needs quotes"
    if not getattr(node, "plain", True) and not introspect.is_text(annotation):
        return f"numbers, `true` and `false` stand without quotes: {shorten(text)}"
    return ""

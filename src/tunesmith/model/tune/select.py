"""Which parameters learn: names and a choice in, names out. Pure; knows nothing of tensors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from tunesmith.errors import UserError
from tunesmith.pattern import matched
from tunesmith.recipe.schema.tune import LayerChoice, LayerRange

HEADS = (
    "lm_head",
    "embed_out",
    "classifier",
    "pre_classifier",
    "score",
    "logits_proj",
    "fc",
    "qa_outputs",
    "head",
)


def is_head(parameter: str) -> bool:
    """Whether a parameter, or a module, belongs to an output layer."""
    return any(part in HEADS for part in parameter.split("."))


def block_of(name: str, stack: str) -> int | None:
    """Index of the block of ``stack`` (e.g. ``model.layers``) that a parameter belongs to, if any."""
    match = re.match(re.escape(stack) + r"\.(\d+)\.", name)
    return int(match[1]) if match else None


def block_stack(sizes: Mapping[str, int]) -> str:
    """Name of the list of blocks that holds most parameters: such as ``model.layers`` or ``encoder.stages``.

    Only the outermost list of a name counts, so that a stage is a block and not the layers within it.
    """
    totals: Counter[str] = Counter()
    for name, size in sizes.items():
        match = re.match(r"(.+?)\.\d+\.", name)
        if match:
            totals[match[1]] += size
    return totals.most_common(1)[0][0] if totals else ""


def blocks_in_range(count: int, layers: LayerRange) -> range:
    """Indices of the blocks that ``first`` or ``last`` names.

    Raises:
        UserError: if there are not so many.
    """
    wanted = layers.last or layers.first or count
    if wanted > count:
        raise UserError(
            f"the model has {count} blocks, and the recipe asks for {wanted} of them",
            hint=f"write at most {count}, or `all`",
        )
    return range(count - wanted, count) if layers.last else range(wanted)


def select(
    sizes: Mapping[str, int], choices: LayerChoice | Sequence[LayerChoice], fresh: Iterable[str] = ()
) -> frozenset[str]:
    """Names of the parameters that learn.

    Args:
        sizes: every parameter's name and number of elements, in the model's order.
        choices: one choice or several, whose parameters are joined.
        fresh: parameters without pretrained values; they always learn, else nothing could come of them.

    Raises:
        UserError: if a choice matches nothing.
    """
    several: Sequence[LayerChoice] = [choices] if isinstance(choices, str | LayerRange) else choices
    chosen = set(fresh)
    for choice in several:
        chosen |= _select_one(sizes, choice)
    return frozenset(chosen)


def _select_one(sizes: Mapping[str, int], choice: LayerChoice) -> set[str]:
    if choice == "all":
        return set(sizes)
    if choice == "none":
        return set()
    if choice == "head":
        return _head(sizes)
    assert isinstance(choice, LayerRange)
    return _matching(sizes, choice.match) if choice.match else _blocks(sizes, choice)


def _head(sizes: Mapping[str, int]) -> set[str]:
    found = {name for name in sizes if is_head(name)}
    if not found:
        raise UserError(
            "`tune.layers: head` finds no output layer of its own in this model "
            "(a tied output layer is the input embedding)",
            hint="name it with `tune.layers: {match: ...}`; "
            f"the last parameters are {', '.join(list(sizes)[-4:])}",
        )
    return found


def _blocks(sizes: Mapping[str, int], layers: LayerRange) -> set[str]:
    stack = block_stack(sizes)
    if not stack:
        raise UserError(
            "`tune.layers` counts blocks, and this model has none", hint="use `{match: <regex over names>}`"
        )
    indices = {name: block_of(name, stack) for name in sizes}
    count = 1 + max(index for index in indices.values() if index is not None)
    wanted = set(blocks_in_range(count, layers))
    return {name for name, index in indices.items() if index in wanted}


def _matching(sizes: Mapping[str, int], pattern: str) -> set[str]:
    found = {name for name in sizes if matched(pattern, name, way="search")}
    if not found:
        near = get_close_matches(pattern, list(sizes), n=3, cutoff=0.3) or list(sizes)[:3]
        raise UserError(
            f"`tune.layers.match: {pattern}` matches no parameter", hint=f"names look like {', '.join(near)}"
        )
    return found

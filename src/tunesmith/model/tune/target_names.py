"""Which layers get an adapter, by their names alone. Pure, so that a plan chooses as a run does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

from tunesmith.errors import UserError
from tunesmith.model.tune.select import block_of, block_stack, is_head, select
from tunesmith.pattern import matched
from tunesmith.recipe.schema.tune import Lora

WHERE = "tune.lora.targets"


def choose_targets(
    able: Sequence[str],
    sizes: Mapping[str, int],
    lora: Lora,
    saved: Callable[[str], bool],
    others: Sequence[str] = (),
) -> list[str]:
    """Those of the layers that get an adapter.

    Args:
        able: full names of layers that can have one.
        sizes: every parameter's name and number of elements.
        lora: the recipe's ``tune.lora``.
        saved: whether a layer is trained whole, and needs none.
        others: layers that can have one if they are named.

    Raises:
        UserError: if nothing is left, or a name of several matches nothing.
    """
    names = [name for name in able if matches_any(name, lora)]
    names = _within(names, sizes, lora) if lora.layers is not None else names
    for target in _listed(lora):
        if not any(_matches(name, target, lora) for name in names):
            raise _nothing_matches((*able, *others), lora, target)
    names = [name for name in names if not saved(name)]
    if not names:
        raise _nothing_matches((*able, *others), lora, ", ".join(_listed(lora)))
    return names


def _listed(lora: Lora) -> Sequence[str]:
    return (lora.targets,) if isinstance(lora.targets, str) else lora.targets


def matches_any(name: str, lora: Lora) -> bool:
    """Whether one of the targets means this layer."""
    return any(_matches(name, target, lora) for target in _listed(lora))


def _nothing_matches(able: Sequence[str], lora: Lora, wanted: str) -> UserError:
    tails = sorted({name.rsplit(".", 1)[-1] for name in able if not is_head(name)})
    near = get_close_matches(wanted, tails, n=1, cutoff=0.4)
    guess = f"did you mean `{near[0]}`? " if near else ""
    chosen = lora.layers.model_dump(exclude_none=True) if lora.layers is not None else {}
    within = "".join(f" within `layers: {{{key}: {value}}}`" for key, value in chosen.items())
    other = "" if wanted == "all-linear" else "; or write `all-linear`"
    return UserError(
        f"`tune.lora.targets: {wanted}` matches no layer of this model{within}",
        hint=f"{guess}the layers that can have an adapter end in: {', '.join(tails)}{other}",
    )


def _matches(name: str, target: str, lora: Lora) -> bool:
    if lora.targets == "all-linear":
        return not is_head(name)
    end = name == target or name.endswith("." + target)
    return end or (isinstance(lora.targets, str) and matched(target, name) is not None)


def _within(names: Sequence[str], sizes: Mapping[str, int], lora: Lora) -> list[str]:
    assert lora.layers is not None
    chosen = select(sizes, lora.layers)
    if lora.layers.match:
        return [name for name in names if any(each.startswith(name + ".") for each in chosen)]
    stack = block_stack(sizes)
    blocks = {block_of(name, stack) for name in chosen} - {None}
    return [name for name in names if block_of(name + ".", stack) in blocks]

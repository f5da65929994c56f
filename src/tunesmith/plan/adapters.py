"""Names and shapes that LoRA adds to a model, without peft. Pure; a test compares it with peft."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tunesmith.model.select import block_of, block_stack, is_head, select
from tunesmith.plan.weights import Weights, is_embedding
from tunesmith.recipe.schema import Lora, Tune

Shape = tuple[int, ...]


def tuned_weights(
    shapes: Mapping[str, Shape], tune: Tune, fresh: Iterable[str], *, transposed: bool = False
) -> Weights:
    """All weights of a tuned model, adapters included, and which of them learn.

    Args:
        shapes: of the model as it is loaded.
        tune: the recipe's section.
        fresh: parameters without pretrained values: they always learn.
        transposed: whether matrices are stored [in, out] (GPT-2).

    Raises:
        UserError: if the choice matches nothing.
    """
    sizes = {name: _count(shape) for name, shape in shapes.items()}
    if tune.lora is None:
        return Weights(shapes=shapes, learning=select(sizes, tune.layers or "all", fresh))
    whole = _whole(shapes, tune.save_modules, frozenset(fresh))
    targets = _targets(shapes, tune.lora, whole)
    added: dict[str, Shape] = {}
    for name in targets:
        rows, columns = shapes[f"{name}.weight"][:: -1 if transposed else 1]
        added |= adapter_shapes(name, rows, columns, tune.lora)
    return Weights(shapes={**shapes, **added}, learning=frozenset((*added, *whole)))


def adapter_shapes(name: str, rows: int, columns: int, lora: Lora) -> dict[str, Shape]:
    """The matrices A [rank, columns] and B [rows, rank] of one layer, and DoRA's magnitudes [rows].

    LoRA: Hu et al. 2021, arXiv 2106.09685, section 4.1; DoRA: Liu et al. 2024, arXiv 2402.09353.
    """
    shapes: dict[str, Shape] = {
        f"{name}.lora_A.default.weight": (lora.rank, columns),
        f"{name}.lora_B.default.weight": (rows, lora.rank),
    }
    return shapes | ({f"{name}.lora_magnitude_vector.default.weight": (rows,)} if lora.dora else {})


def _whole(shapes: Mapping[str, Shape], modules: Iterable[str], fresh: frozenset[str]) -> frozenset[str]:
    """Parameters of modules that are trained whole beside the adapters."""
    made_up = fresh >= set(shapes)
    chosen = {name for name in fresh if is_head(name)} if made_up else set(fresh)
    if made_up and "lm_head.weight" in chosen:
        chosen = set()
    for module in modules:
        chosen |= {name for name in shapes if f".{module}." in f".{name}."}
    return frozenset(chosen)


def _targets(shapes: Mapping[str, Shape], lora: Lora, whole: frozenset[str]) -> list[str]:
    linear = [
        name.removesuffix(".weight")
        for name, shape in shapes.items()
        if name.endswith(".weight") and len(shape) == 2 and not is_embedding(name) and name not in whole
    ]
    names = [name for name in linear if _matches(name, lora.targets)]
    if lora.layers is None:
        return names
    chosen = select({name: _count(shape) for name, shape in shapes.items()}, lora.layers)
    if lora.layers.match:
        return [name for name in names if any(each.startswith(name + ".") for each in chosen)]
    stack = block_stack({name: _count(shape) for name, shape in shapes.items()})
    blocks = {block_of(name, stack) for name in chosen} - {None}
    return [name for name in names if block_of(name + ".", stack) in blocks]


def _matches(name: str, targets: str | tuple[str, ...]) -> bool:
    if targets == "all-linear":
        return not is_head(name)
    if isinstance(targets, str):
        return re.fullmatch(targets, name) is not None or name.endswith("." + targets)
    return any(name == target or name.endswith("." + target) for target in targets)


def _count(shape: Shape) -> int:
    product = 1
    for side in shape:
        product *= side
    return product

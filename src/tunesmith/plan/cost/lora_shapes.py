"""Names and shapes that LoRA adds to a model, without peft. Pure; a test compares it with peft."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tunesmith.model.tune.select import is_head, select
from tunesmith.model.tune.target_names import choose_targets
from tunesmith.plan.cost.weights import Weights, is_embedding
from tunesmith.recipe.schema.tune import Lora, Tune

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
    able = {**shapes, **_tied_output(shapes)}
    added: dict[str, Shape] = {}
    for name in _targets(able, sizes, tune.lora, whole):
        rows, columns = able[f"{name}.weight"][:: -1 if transposed and not is_head(name) else 1]
        added |= adapter_shapes(name, rows, columns, tune.lora)
    return Weights(shapes={**shapes, **added}, learning=frozenset((*added, *whole)))


def all_match(shapes: Mapping[str, Shape], tune: Tune) -> bool:
    """Whether every module that ``tune`` names is in the model, and all that it says goes together."""
    if tune.lora is None or tune.layers is not None:
        return tune.lora is None
    return all(any(f".{module}." in f".{name}." for name in shapes) for module in tune.save_modules)


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


def _tied_output(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """The output layer that shares the weights of the embedding: it can have an adapter of its own."""
    if any(is_head(name) for name in shapes):
        return {}
    table = next((shape for name, shape in shapes.items() if is_embedding(name)), None)
    return {"lm_head.weight": table} if table is not None else {}


def _targets(
    shapes: Mapping[str, Shape], sizes: Mapping[str, int], lora: Lora, whole: frozenset[str]
) -> list[str]:
    linear = [
        name.removesuffix(".weight")
        for name, shape in shapes.items()
        if name.endswith(".weight") and len(shape) == 2 and not is_embedding(name)
    ]
    return choose_targets(linear, sizes, lora, lambda name: f"{name}.weight" in whole)


def _count(shape: Shape) -> int:
    product = 1
    for side in shape:
        product *= side
    return product

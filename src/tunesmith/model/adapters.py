"""LoRA adapters through peft: which layers, how many, and a clear word when none match."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import torch

from tunesmith.errors import UserError
from tunesmith.model.quantize import marked_for_peft, refuse_trained
from tunesmith.model.select import HEADS, block_of, block_stack, is_head, select
from tunesmith.recipe.schema import Lora

PEFT_TASKS = {
    "AutoModelForCausalLM": "CAUSAL_LM",
    "AutoModelForSequenceClassification": "SEQ_CLS",
    "AutoModelForImageClassification": None,
}


def add_adapters(
    model: Any, lora: Lora, *, auto_model: str, whole: Iterable[str], fresh: Iterable[str]
) -> Any:
    """The model wrapped by peft, with adapters in the chosen layers.

    Args:
        model: a transformers model.
        lora: the recipe's ``tune.lora``.
        auto_model: the task's auto class.
        whole: modules that are trained and saved whole beside the adapters.
        fresh: parameters without pretrained values, whose modules are added to ``whole``. Where nothing
            is pretrained, only a head for classes or numbers is: adapters learn over random weights.

    Raises:
        UserError: if a target or a module matches nothing.
    """
    from peft import LoraConfig, get_peft_model

    _check_modules(model, whole)
    refuse_trained(model, whole)
    saved = {*whole, *_fresh_modules(model, frozenset(fresh), auto_model)}
    targets = target_modules(model, lora, saved)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha or 2 * lora.rank,
        target_modules=targets,
        lora_dropout=lora.dropout,
        use_dora=lora.dora,
        use_rslora=lora.rslora,
        modules_to_save=sorted(saved) or None,
        task_type=PEFT_TASKS[auto_model],
    )
    with marked_for_peft(model):
        return get_peft_model(model, config)


def target_modules(model: Any, lora: Lora, saved: Iterable[str] = ()) -> list[str]:
    """Full names of the linear layers that get an adapter.

    ``all-linear`` is every linear layer but the output layer, as peft has it; a list holds the last parts
    of names; any other text is a regular expression over whole names. Modules that are ``saved`` whole
    get none.

    Raises:
        UserError: if nothing matches.
    """
    convolutions = lora.targets != "all-linear"
    linear = [name for name, module in model.named_modules() if _takes_adapter(module, convolutions)]
    output = model.get_output_embeddings() if lora.targets == "all-linear" else None
    names = [
        name
        for name in linear
        if _matches(name, lora.targets) and (output is None or model.get_submodule(name) is not output)
    ]
    whole = tuple(saved)
    names = [name for name in names if not any(f".{module}." in f".{name}." for module in whole)]
    if lora.layers is not None:
        names = _within(model, names, lora)
    if not names:
        raise _nothing_matches(model, lora)
    return names


def _nothing_matches(model: Any, lora: Lora) -> UserError:
    able = [name for name, module in model.named_modules() if _takes_adapter(module, convolutions=True)]
    tails = sorted({name.rsplit(".", 1)[-1] for name in able if not is_head(name)})
    wanted = lora.targets if isinstance(lora.targets, str) else ", ".join(lora.targets)
    near = get_close_matches(wanted, tails, n=1, cutoff=0.4)
    guess = f"did you mean `{near[0]}`? " if near else ""
    chosen = lora.layers.model_dump(exclude_none=True) if lora.layers is not None else {}
    within = "".join(f" within `layers: {{{key}: {value}}}`" for key, value in chosen.items())
    other = "" if wanted == "all-linear" else "; or write `all-linear`"
    return UserError(
        f"`tune.lora.targets: {wanted}` matches no layer of this model{within}",
        hint=f"{guess}the layers that can have an adapter end in: {', '.join(tails)}{other}",
    )


def _takes_adapter(module: torch.nn.Module, convolutions: bool) -> bool:
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, torch.nn.Linear | Conv1D) or (
        convolutions and isinstance(module, torch.nn.Conv2d)
    )


def _matches(name: str, targets: str | tuple[str, ...]) -> bool:
    if targets == "all-linear":
        return not is_head(name)
    if isinstance(targets, str):
        return re.fullmatch(targets, name) is not None or name.endswith("." + targets)
    return any(name == target or name.endswith("." + target) for target in targets)


def _within(model: Any, names: list[str], lora: Lora) -> list[str]:
    assert lora.layers is not None
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    chosen = select(sizes, lora.layers)
    stack = block_stack(sizes)
    blocks = {block_of(name, stack) for name in chosen}
    if lora.layers.match:
        return [name for name in names if any(param.startswith(name + ".") for param in chosen)]
    return [name for name in names if block_of(name + ".", stack) in blocks - {None}]


def _fresh_modules(model: Any, fresh: frozenset[str], auto_model: str) -> set[str]:
    if fresh >= {name for name, _ in model.named_parameters()}:
        classes = auto_model != "AutoModelForCausalLM"
        fresh = frozenset(name for name in fresh if classes and is_head(name))
    return {_module_of(name) for name in fresh}


def _module_of(parameter: str) -> str:
    """Outermost module of a head, ``classifier.dense.weight`` -> ``classifier``; else the very module.

    In full, because peft takes every module whose name ends so: ``dense`` alone is most of an encoder.
    """
    parts = parameter.split(".")
    end = next((index for index, part in enumerate(parts) if part in HEADS), len(parts) - 2)
    return ".".join(parts[: end + 1])


def _check_modules(model: Any, names: Iterable[str]) -> None:
    whole = [name for name, _ in model.named_modules() if name]
    for name in names:
        if not any(f".{module}".endswith(f".{name}") for module in whole):
            known = sorted({part for module in whole for part in module.split(".")})
            near = get_close_matches(name, known, n=1)
            raise UserError(
                f"`tune.save_modules` names `{name}`, which this model does not have",
                hint=f"did you mean `{near[0]}`?" if near else "name a module, e.g. `lm_head`",
            )

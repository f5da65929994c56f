"""LoRA adapters through peft: which layers, how many, and a clear word when none match."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import torch

from tunesmith.errors import UserError
from tunesmith.model.select import HEADS, block_of, block_stack, select
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
        fresh: parameters without pretrained values, whose modules are added to ``whole``.

    Raises:
        UserError: if a target or a module matches nothing.
    """
    from peft import LoraConfig, get_peft_model

    saved = {*whole, *(_module_of(name) for name in fresh)}
    _check_modules(model, saved)
    targets = target_modules(model, lora)
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
    return get_peft_model(model, config)


def target_modules(model: Any, lora: Lora) -> list[str]:
    """Full names of the linear layers that get an adapter.

    ``all-linear`` is every linear layer but the output layer, as peft has it; a list holds the last parts
    of names; any other text is a regular expression over whole names.

    Raises:
        UserError: if nothing matches.
    """
    convolutions = lora.targets != "all-linear"
    linear = [name for name, module in model.named_modules() if _takes_adapter(module, convolutions)]
    names = [name for name in linear if _matches(name, lora.targets)]
    if lora.layers is not None:
        names = _within(model, names, lora)
    if not names:
        tails = sorted({name.rsplit(".", 1)[-1] for name in linear})
        wanted = lora.targets if isinstance(lora.targets, str) else ", ".join(lora.targets)
        near = get_close_matches(wanted, tails, n=1, cutoff=0.4)
        guess = f"did you mean `{near[0]}`? " if near else ""
        raise UserError(
            f"`tune.lora.targets: {wanted}` matches no layer of this model",
            hint=f"{guess}the linear layers end in: {', '.join(tails)}; or write `all-linear`",
        )
    return names


def _takes_adapter(module: torch.nn.Module, convolutions: bool) -> bool:
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, torch.nn.Linear | Conv1D) or (
        convolutions and isinstance(module, torch.nn.Conv2d)
    )


def _matches(name: str, targets: str | tuple[str, ...]) -> bool:
    if targets == "all-linear":
        return not any(part in HEADS for part in name.split("."))
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


def _module_of(parameter: str) -> str:
    """Outermost module of a head: ``classifier.dense.weight`` -> ``classifier``."""
    parts = parameter.split(".")
    return next((part for part in parts if part in HEADS), parts[-2])


def _check_modules(model: Any, names: Iterable[str]) -> None:
    known = {part for name, _ in model.named_modules() for part in name.split(".")}
    for name in names:
        if name.split(".")[-1] not in known:
            near = get_close_matches(name, sorted(known), n=1)
            raise UserError(
                f"`tune.save_modules` names `{name}`, which this model does not have",
                hint=f"did you mean `{near[0]}`?" if near else "name a module, e.g. `lm_head`",
            )

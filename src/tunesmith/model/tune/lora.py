"""LoRA adapters through peft, on the chosen layers and on no others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from tunesmith.errors import UserError
from tunesmith.model.tune.quantize import is_quantized, marked_for_peft, refuse_trained
from tunesmith.model.tune.select import HEADS, is_head
from tunesmith.model.tune.target_names import WHERE
from tunesmith.model.tune.targets import target_modules
from tunesmith.recipe.schema.tune import Lora
from tunesmith.recipe.tasks.spec import TaskSpec


def add_adapters(
    model: Any, lora: Lora, *, task: TaskSpec, whole: Iterable[str], fresh: Iterable[str]
) -> Any:
    """The model wrapped by peft, with adapters in the chosen layers.

    Args:
        model: a transformers model.
        lora: the recipe's ``tune.lora``.
        task: what the model learns.
        whole: modules that are trained and saved whole beside the adapters.
        fresh: parameters without pretrained values, whose modules are added to ``whole``. Where nothing
            is pretrained, only a head for classes or numbers is: adapters learn over random weights.

    Raises:
        UserError: if a target or a module matches nothing, or peft puts adapters elsewhere.
    """
    _check_modules(model, whole)
    refuse_trained(model, whole)
    saved = {*whole, *_fresh_modules(model, frozenset(fresh), task)}
    targets = target_modules(model, lora, saved)
    wrapped = _wrapped(model, _lora_config(model, lora, targets, saved, task.peft))
    _refuse_elsewhere(wrapped, targets)
    return wrapped


def _lora_config(model: Any, lora: Lora, targets: Sequence[str], saved: set[str], task: str | None) -> Any:
    """What peft is told; ``targets`` by their weights where it would not leave their names alone."""
    from peft import LoraConfig

    renamed = renamed_by_peft(model, targets)
    packed = [name for name in targets if name in renamed and is_quantized(model.get_submodule(name))]
    if packed:
        raise UserError(
            f"peft cannot put an adapter on `{packed[0]}` of this model in 4 or 8 bits",
            WHERE,
            "name the layers of attention, such as `[q_proj, v_proj]`, or take `model.quantize` away",
        )
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha or 2 * lora.rank,
        target_modules=[name for name in targets if name not in renamed],
        target_parameters=[f"{name}.weight" for name in targets if name in renamed] or None,
        lora_dropout=lora.dropout,
        use_dora=lora.dora,
        use_rslora=lora.rslora,
        modules_to_save=sorted(saved) or None,
        task_type=task,
    )


def renamed_by_peft(model: Any, targets: Iterable[str]) -> frozenset[str]:
    """Those of the targets that peft takes for parts of a model's experts.

    Where transformers holds the weights of all experts of a layer in one tensor, peft rewrites targets that
    end like an expert's old layers (``gate_proj``) into that tensor, in all layers: also those of shared
    experts and of plain layers, and also when a finished adapter is opened. Their weights, named as such
    (``gate_proj.weight``), it leaves where they are.
    """
    from peft import LoraConfig
    from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers

    def stays(end: str) -> bool:
        config = LoraConfig(target_modules=[end])
        try:
            convert_peft_config_for_transformers(config, model, None)
        except (
            ValueError
        ):  # it is one of several layers that went into one tensor, and the others are missing
            return False
        return set(config.target_modules or ()) == {end} and not config.target_parameters

    ends = {name: name.rsplit(".", 1)[-1] for name in targets}
    moving = {end for end in set(ends.values()) if not stays(end)}
    return frozenset(name for name, end in ends.items() if end in moving)


def _wrapped(model: Any, config: Any) -> Any:
    """The model with peft's adapters on it.

    Raises:
        UserError: peft refuses them.
    """
    from peft import get_peft_model

    try:
        with marked_for_peft(model):
            return get_peft_model(model, config)
    except (ValueError, TypeError, NotImplementedError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"peft cannot put these adapters on a `{model.config.model_type}` model: {reason}",
            "tune.lora",
            "name other layers in `tune.lora.targets`, such as those of attention; on layers beside "
            "experts neither `dropout` nor `dora` works",
        ) from error


def _refuse_elsewhere(wrapped: Any, targets: Sequence[str]) -> None:
    """Adapters must stand on the chosen layers and on no others.

    Raises:
        UserError: peft has put them elsewhere.
    """
    from peft.tuners.lora import LoraLayer

    start = "base_model.model."
    layers = (name for name, module in wrapped.named_modules() if isinstance(module, LoraLayer))
    found = {name.removeprefix(start) for name in layers}
    missing, surplus = sorted(set(targets) - found), sorted(found - set(targets))
    if missing or surplus:
        where = [f"not on `{name}`" for name in missing[:1]] + [f"but on `{name}`" for name in surplus[:1]]
        raise UserError(
            f"peft puts adapters on {len(found)} layers where {len(targets)} were chosen: {', '.join(where)}",
            WHERE,
            "name other layers, such as those of attention: `targets: [q_proj, v_proj]`",
        )


def _fresh_modules(model: Any, fresh: frozenset[str], task: TaskSpec) -> set[str]:
    if fresh >= {name for name, _ in model.named_parameters()}:
        classes = task.output != "tokens"
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

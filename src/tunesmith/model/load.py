"""A model from its source or its configuration, with its head fitted to the task."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tunesmith.errors import UserError
from tunesmith.model.attention import attention_of
from tunesmith.model.check.architecture import refuse_seeing_ahead, refuse_unfit
from tunesmith.model.check.completeness import refuse_incomplete, refuse_larger, say_unused
from tunesmith.model.check.folder import refuse_endless
from tunesmith.model.check.kernels import without_kernels
from tunesmith.model.export.save import output_layer
from tunesmith.model.gguf import config_location
from tunesmith.model.inline_config import configuration, refused_by_transformers, try_out
from tunesmith.model.location import Location, cannot_be_built, locate, open_location, refuse_hub_index
from tunesmith.model.tune.prequantized import adopt_quantized, stored_bits
from tunesmith.model.tune.quantize import quantize_frozen, require_library
from tunesmith.model.tune.select import is_head
from tunesmith.recipe.schema.model import Model
from tunesmith.recipe.tasks.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class Head:
    """What the task wants of the model's output.

    Attributes:
        task: its declaration.
        labels: class names, where there are classes and rows have told them.
    """

    task: TaskSpec
    labels: Sequence[str] = ()

    @property
    def auto_model(self) -> str:
        """Name of the transformers class that opens the model."""
        return self.task.auto_model

    @property
    def has_tokens(self) -> bool:
        """Whether a token is predicted, as by a language model."""
        return self.task.output == "tokens"

    @property
    def has_number(self) -> bool:
        """Whether the output is one number."""
        return self.task.output == "number"

    def config_options(self) -> dict[str, Any]:
        """Entries of the model's configuration."""
        if self.has_number:
            return {"num_labels": 1, "problem_type": "regression"}
        if not self.labels:
            return {}
        names = dict(enumerate(self.labels))
        return {
            "num_labels": len(names),
            "id2label": names,
            "label2id": {label: index for index, label in names.items()},
        }


def load_config(model: Model, head: Head, vocab_size: int | None = None) -> Any:
    """The transformers configuration, without weights.

    Raises:
        UserError: if there is none, a new model's configuration is refused, or it does not fit the task.
    """
    from transformers import AutoConfig

    if model.new is None:
        assert model.source is not None
        location = config_location(locate(model.source, model))
        config = without_kernels(open_location(location, AutoConfig.from_pretrained), location.name)
        refuse_endless(config.to_dict(), f"{location.name}/config.json", "model.source")
        refuse_unfit(config, head.task)
        refuse_other_tokenizer(model, config, vocab_size)
        return config
    settings = dict(model.new)
    refuse_endless(settings, "model.new", "model.new")
    # The ends that a configuration has by default are another tokenizer's.
    settings = {"bos_token_id": None, "eos_token_id": None, **settings}
    if vocab_size is not None:
        settings.setdefault("vocab_size", vocab_size)
    config = configuration(settings, head.config_options(), model.image_size)
    refuse_unfit(config, head.task)
    refuse_other_tokenizer(model, config, vocab_size)
    return config


def refuse_other_tokenizer(model: Model, config: Any, vocab_size: int | None) -> None:
    """A tokenizer that is not the model's own must not have tokens that the model has no embedding for."""
    most = getattr(config.get_text_config(), "vocab_size", None)
    if model.tokenizer is not None and vocab_size is not None and most is not None and vocab_size > most:
        raise UserError(
            f"the tokenizer has {vocab_size} tokens, and the model has embeddings for {most}",
            "model.tokenizer",
            "leave it out to use the model's own, or choose one that is not larger",
        )


def plain_ends(model: Model, config: Any) -> tuple[int, ...]:
    """Tokens at which plain ``generate`` of a source's model stops, its own settings first."""
    from transformers import GenerationConfig

    assert model.source is not None
    ends = getattr(config.get_text_config(), "eos_token_id", None)
    with suppress(UserError):  # most models of old have no settings for generation
        location = config_location(locate(model.source, model))
        ends = open_location(location, GenerationConfig.from_pretrained).eos_token_id or ends
    return tuple(ends) if isinstance(ends, list | tuple) else () if ends is None else (ends,)


def load_model(model: Model, head: Head, config: Any, dtype: torch.dtype) -> tuple[Any, frozenset[str]]:
    """The model on the CPU, and the names of its parameters that have no pretrained values."""
    if model.quantize is not None:
        require_library()
    made, fresh = _load_plain(model, head, config, dtype)
    if head.has_tokens:
        refuse_seeing_ahead(made)
    if model.quantize is not None:
        quantize_frozen(made, model.quantize, dtype)
    return made, fresh


def _load_plain(model: Model, head: Head, config: Any, dtype: torch.dtype) -> tuple[Any, frozenset[str]]:
    auto = _auto_class(head, config)
    attention = {}
    if head.task.processor == "tokenizer":
        kind = auto._model_mapping.get(type(config), None)
        attention = {"attn_implementation": attention_of(model.attention, kind, config.model_type)}
    if model.new is not None:
        with refused_by_transformers():
            made = auto.from_config(config, dtype=dtype, **attention)
        try_out(made, model.image_size)
        return made, frozenset(name for name, _ in made.named_parameters())
    assert model.source is not None
    location = locate(model.source, model)
    _refuse_other_sizes(model, head, config, location)
    loaded, info = open_location(
        location,
        auto.from_pretrained,
        dtype=dtype,
        output_loading_info=True,
        use_safetensors=True,
        ignore_mismatched_sizes=True,
        **attention,
        **(head.config_options() if location.gguf else {"config": _fitted(config, head)}),
    )
    _clear_gguf_mark(loaded, location)
    if stored_bits(loaded.config) is not None:
        adopt_quantized(loaded, dtype)
    missing = {*info["missing_keys"], *(key[0] for key in info["mismatched_keys"])}
    refuse_incomplete(loaded, missing, language=head.has_tokens, name=location.name)
    say_unused(info["unexpected_keys"], location.name)
    fresh = frozenset(missing & {name for name, _ in loaded.named_parameters()})
    if head.labels and not any(map(is_head, fresh)):
        fresh |= _fit_head(loaded, _labels(config), head.labels)
    return loaded, fresh


def _fitted(config: Any, head: Head) -> Any:
    """The configuration with the task's head, handed over: read again, it may name what was taken out."""
    fitted = copy.deepcopy(config)
    for name, value in head.config_options().items():
        setattr(fitted, name, value)
    return fitted


def _refuse_other_sizes(model: Model, head: Head, config: Any, location: Location) -> None:
    """Look at the index and the sizes before weights are read."""
    if location.hub is not None:
        refuse_hub_index(location)
    elif not location.gguf:
        refuse_larger(load_outline(model, head, _fitted(config, head))[0], Path(location.name))


def load_outline(model: Model, head: Head, config: Any) -> tuple[Any, frozenset[str]]:
    """The model without its weights (meta device), for counting; new parameters as far as one can tell."""
    auto = _auto_class(head, config)
    for name, value in head.config_options().items():
        setattr(config, name, value)
    refused = refused_by_transformers() if model.new is not None else cannot_be_built(str(model.source))
    with torch.device("meta"), refused:
        outline = auto.from_config(config)
    outline.tie_weights()
    names = [name for name, _ in outline.named_parameters()]
    if model.new is not None:
        return outline, frozenset(names)
    fitted = bool(head.labels or head.has_number)
    return outline, frozenset(name for name in names if fitted and is_head(name))


def set_padding(config: Any, head: Head, processor: Any) -> None:
    """Tell a decoder with a classification head which token is padding: it reads off the last other one.

    Only there: elsewhere a padding token would keep its embedding from learning when the model is reopened.
    """
    text = config.get_text_config()
    token = getattr(processor, "pad_token_id", None)
    if head.task.encoder and getattr(text, "pad_token_id", None) is None:
        text.pad_token_id = token


def _auto_class(head: Head, config: Any) -> Any:
    """The auto class of the task.

    Raises:
        UserError: if it has no model for this configuration.
    """
    import transformers

    auto = getattr(transformers, head.auto_model)
    own_code = head.auto_model in (getattr(config, "auto_map", None) or {})
    if type(config) not in auto._model_mapping and not own_code:
        raise UserError(
            f"a `{config.model_type}` model cannot do the task `{head.task.name}`: "
            f"transformers has no {head.auto_model.removeprefix('AutoModelFor')} model of that kind",
            "task",
            "choose a model made for this task, or the task that this model is for",
        )
    return auto


def _labels(config: Any) -> list[str]:
    names = getattr(config, "id2label", None) or {}
    return [names[index] for index in sorted(names)]


def _fit_head(model: Any, known: Sequence[str], wanted: Sequence[str]) -> frozenset[str]:
    """Put the classes that the head knows in the wanted order; for other classes, start it anew."""
    if sorted(known) != sorted(wanted):
        return _reset_head(model)
    if list(known) != list(wanted):
        order = torch.tensor([known.index(label) for label in wanted])
        layer = output_layer(model)
        for parameter in layer.parameters():
            parameter.data = parameter.data[order]
    return frozenset()


def _reset_head(model: Any) -> frozenset[str]:
    """Start the output layer anew: it was trained for other classes."""
    names = [name for name, _ in model.named_parameters() if is_head(name)]
    for module_name in {name.rsplit(".", 1)[0] for name in names}:
        module = model.get_submodule(module_name)
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return frozenset(names)


def _clear_gguf_mark(model: Any, location: Location) -> None:
    """Transformers calls a model from GGUF quantised, although its weights are plain tensors by now."""
    if location.gguf:
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.hf_quantizer = None
        model.is_quantized = False

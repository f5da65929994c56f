"""A model's configuration read without transformers, for plans: its own code takes seconds to import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tunesmith.model.gguf import config_location
from tunesmith.model.load import Head, load_config, refuse_other_tokenizer
from tunesmith.model.location import locate
from tunesmith.model.param_shapes import Named, param_shapes_of
from tunesmith.recipe.schema.model import Model

_POSITIONS = ("max_position_embeddings", "n_positions")
_DROPOUTS = {
    "gpt2": ("attn_pdrop", "resid_pdrop", "embd_pdrop"),
    "bert": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
}


class PlainConfig:
    """What stands in ``config.json`` or ``model.new``, as attributes, with the names of all weights.

    Attributes:
        outline: names and shapes of the weights.
    """

    def __init__(self, values: dict[str, Any], outline: list[Named]) -> None:
        self.__dict__.update(values)
        self.values = values
        self.outline = outline

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)  # for the type checker: any attribute may be there

    def get_text_config(self) -> PlainConfig:
        """The same, since there are no others here."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """Its values."""
        return self.values

    @property
    def packs(self) -> bool:
        """Whether nothing but full attention mixes tokens of such a decoder."""
        windowed = getattr(self, "use_sliding_window", True) and getattr(self, "sliding_window", None)
        kinds = getattr(self, "layer_types", None) or []
        return not windowed and all(kind == "full_attention" for kind in kinds)


def known_or_loaded(model: Model, head: Head, vocab_size: int | None) -> Any:
    """What is known by heart of a model's configuration, or else what transformers reads."""
    plain = plain_config(model, head, vocab_size)
    if plain is None:
        return load_config(model, head, vocab_size)
    refuse_other_tokenizer(model, plain, vocab_size)
    return plain


def plain_config(model: Model, head: Head, vocab_size: int | None) -> PlainConfig | None:
    """The configuration, if it is of a family that is known by heart.

    Args:
        model: the recipe's section.
        head: what the task wants of it.
        vocab_size: size of the tokenizer, for a new model that does not say its own.

    Returns:
        None if transformers has to be asked.
    """
    values = dict(model.new) if model.new is not None else _written(model)
    if values is None:
        return None
    if model.new is not None and vocab_size is not None:
        values.setdefault("vocab_size", vocab_size)
    values.update(head.config_options())
    values = _with_dropout(values)
    length = [values.get(name) for name in _POSITIONS if name in values]
    if not length or "quantization_config" in values or model.trust_remote_code:
        return None
    try:
        outline = param_shapes_of(values, head.task)
    except (ArithmeticError, TypeError, ValueError, KeyError):
        return None  # Numbers that are none: whoever builds the model says so.
    return None if outline is None else PlainConfig(values, outline)


def _with_dropout(values: dict[str, Any]) -> dict[str, Any]:
    """Where dropout is not mentioned, these two have it."""
    names = _DROPOUTS.get(str(values.get("model_type")), ())
    return {**dict.fromkeys(names, 0.1), **values}


def _written(model: Model) -> dict[str, Any] | None:
    """``config.json`` of a folder, or of a model in the hub's cache."""
    assert model.source is not None
    location = config_location(locate(model.source, model))
    path: Any = Path(location.name) / "config.json"
    if location.hub is not None:
        from huggingface_hub import try_to_load_from_cache

        path = try_to_load_from_cache(location.name, "config.json", revision=location.hub.revision)
    if not isinstance(path, str | Path):
        return None
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None  # Whoever opens the model says what is wrong with it.
    return {**values, "_name_or_path": location.name} if isinstance(values, dict) else None

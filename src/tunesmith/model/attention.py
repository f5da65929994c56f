"""Which implementation of attention a model gets."""

from __future__ import annotations

from typing import Any

from tunesmith.errors import UserError


def attention_of(wanted: str, model_class: Any, model_type: str) -> str:
    """The implementation, as transformers calls it.

    Args:
        wanted: the recipe's word. ``sdpa`` means ``eager`` where the architecture has nothing else: it
            computes the same.
        model_class: of transformers, ``None`` if the model brings its own.
        model_type: name of the architecture.

    Raises:
        UserError: flash attention is wanted, and the architecture or this machine lacks it.
    """
    from transformers.utils import is_flash_attn_2_available

    if wanted == "sdpa" and not getattr(model_class, "_supports_sdpa", True):
        return "eager"
    if wanted == "flash_attention_2":
        if not getattr(model_class, "_supports_flash_attn", True):
            raise _no_flash(f"a `{model_type}` model has no flash attention")
        if not is_flash_attn_2_available():
            raise _no_flash("flash attention is not installed here, or there is no GPU for it")
    return wanted


def _no_flash(what: str) -> UserError:
    return UserError(what, "model.attention", "leave `model.attention` out, or write `sdpa`")

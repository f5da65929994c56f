"""Which tokens end an answer: the tokenizer's, the model's, and the marks that the chat template writes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

_SAID = "Q7w9"
_ASKED = {"role": "user", "content": "x"}
_ANSWERED = {"role": "assistant", "content": _SAID}


def end_tokens_of(tokenizer: Any, generation_config: Any = None) -> tuple[int, ...]:
    """Every token that ends an answer.

    A template may end turns with a mark of its own (``<|im_end|>``) while the tokenizer's end token is
    the end of a document: a model tuned on such turns stops at the mark, so it counts too.

    Args:
        tokenizer: with its chat template settled.
        generation_config: the model's, if it has one.
    """
    found = {tokenizer.eos_token_id, *turn_ends_of(tokenizer)}
    configured = getattr(generation_config, "eos_token_id", None)
    found |= set(configured) if isinstance(configured, list | tuple) else {configured}
    return tuple(sorted(token for token in found if token is not None))


def turn_ends_of(tokenizer: Any) -> tuple[int, ...]:
    """The first and the last mark that the chat template writes behind an answer, if they are tokens.

    They differ where a template closes a conversation as well as a turn: ``<|end|>``, then ``<|endoftext|>``.
    """
    if not tokenizer.chat_template:
        return ()
    try:
        text = str(tokenizer.apply_chat_template([_ASKED, _ANSWERED], tokenize=False))
    except Exception:  # a template may refuse this very conversation; the tokenizer's own end is left
        return ()
    _, said, behind = text.rpartition(_SAID)
    marks = (_special_prefix(tokenizer, behind), special_suffix(tokenizer, behind.rstrip())) if said else ()
    return tuple(int(tokenizer.convert_tokens_to_ids(mark)) for mark in marks if mark is not None)


def turn_end_of(tokenizer: Any) -> int | None:
    """The mark with which a conversation ends behind its last answer, if it is a token."""
    return next(reversed(turn_ends_of(tokenizer)), None)


def marks_of(tokenizer: Any) -> list[str]:
    """Every token that stands for itself wherever it is written, the longest first."""
    return _marks(tokenizer, len(tokenizer), str(tokenizer.eos_token))


@lru_cache(maxsize=8)
def _marks(tokenizer: Any, size: int, end: str) -> list[str]:
    """Known by size and end token too, as both can be changed; there may be thousands of them."""
    added = {str(token) for token in tokenizer.added_tokens_decoder.values()}
    return sorted((added | set(tokenizer.all_special_tokens)) - {""}, key=len, reverse=True)


def special_suffix(tokenizer: Any, text: str) -> str | None:
    """The added token that a text ends with, the longest if one is the end of another."""
    return next((mark for mark in marks_of(tokenizer) if text.endswith(mark)), None)


def _special_prefix(tokenizer: Any, text: str) -> str | None:
    """The first added token in a text, the longest that begins there."""
    marks = marks_of(tokenizer)
    begins = min((place for mark in marks if (place := text.find(mark)) >= 0), default=-1)
    return next((mark for mark in marks if text.startswith(mark, begins)), None) if begins >= 0 else None

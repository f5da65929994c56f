"""Which tokens end an answer: the tokenizer's, the model's, and the mark that the chat template writes."""

from __future__ import annotations

from typing import Any

_ASKED = {"role": "user", "content": "x"}
_ANSWERED = {"role": "assistant", "content": "x"}


def end_tokens_of(tokenizer: Any, generation_config: Any = None) -> tuple[int, ...]:
    """Every token that ends an answer.

    A template may end turns with a mark of its own (``<|im_end|>``) while the tokenizer's end token is
    the end of a document: a model tuned on such turns stops at the mark, so it counts too.

    Args:
        tokenizer: with its chat template settled.
        generation_config: the model's, if it has one.
    """
    found = {tokenizer.eos_token_id, turn_end_of(tokenizer)}
    configured = getattr(generation_config, "eos_token_id", None)
    found |= set(configured) if isinstance(configured, list | tuple) else {configured}
    return tuple(sorted(token for token in found if token is not None))


def turn_end_of(tokenizer: Any) -> int | None:
    """The special token that the chat template writes after an answer, if there is one."""
    if not tokenizer.chat_template:
        return None
    try:
        text = tokenizer.apply_chat_template([_ASKED, _ANSWERED], tokenize=False)
    except Exception:  # a template may refuse this very conversation; the tokenizer's own end is left
        return None
    mark = special_suffix(tokenizer, str(text).rstrip())
    return None if mark is None else int(tokenizer.convert_tokens_to_ids(mark))


def special_suffix(tokenizer: Any, text: str) -> str | None:
    """The special token that a text ends with, the longest if one is the end of another."""
    added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
    fitting = [token for token in (*added, *tokenizer.all_special_tokens) if token and text.endswith(token)]
    return max(fitting, key=len, default=None)

"""What a tokenizer can do to a run: tokens that the model has no embedding for, texts that it gives up on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tunesmith.errors import UserError
from tunesmith.tasks.task import Example


def refuse_unknown_tokens(examples: Iterable[Example], processor: Any, config: Any) -> None:
    """Refuse examples with a token beyond the model's table of embeddings, and padding beyond it.

    Args:
        examples: encoded, of all parts of the data; those without tokens pass.
        processor: tokenizer, or image processor.
        config: of the model.

    Raises:
        UserError: with the first such row and token, and how to mend it.
    """
    most = getattr(config.get_text_config(), "vocab_size", None)
    vocabulary = processor.get_vocab().values() if hasattr(processor, "get_vocab") else ()
    if not isinstance(most, int) or max(vocabulary, default=0) < most:
        return
    pad = getattr(processor, "pad_token_id", None)
    for example in examples:
        if "input_ids" not in example:
            return
        if (largest := max(example["input_ids"], default=0)) >= most:
            raise _beyond(processor, largest, most, f"row `{example['id']}` has")
    if isinstance(pad, int) and pad >= most:
        raise _beyond(processor, pad, most, "the tokenizer pads with")


def refuse_unknown_prompt(tokens: Iterable[int], processor: Any, config: Any, who: str) -> None:
    """Refuse a question with a token beyond the model's table of embeddings.

    Raises:
        UserError: with the token.
    """
    most = getattr(config.get_text_config(), "vocab_size", None)
    if isinstance(most, int) and (largest := max(tokens, default=0)) >= most:
        raise _beyond(processor, largest, most, f"{who} has")


def _beyond(tokenizer: Any, token: int, most: int, who: str) -> UserError:
    text = tokenizer.convert_ids_to_tokens(token)
    return UserError(
        f"{who} the token `{text}` with the number {token}, and the model has embeddings for {most} tokens",
        "model.source",
        "the tokenizer is larger than the model: take the token out of the tokenizer (or out of the rows), "
        "or enlarge the model first, with `model.resize_token_embeddings(len(tokenizer))` of transformers, "
        "save it and name that folder",
    )


@contextmanager
def giving_up(row_id: str) -> Iterator[None]:
    """What a tokenizer does that gives up on a row (a pattern that backtracks without end), as a message.

    The library's errors are bare ``Exception``, or a panic that no ``except Exception`` catches.

    Raises:
        UserError: with the row.
    """
    try:
        yield
    except BaseException as error:
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"the tokenizer gives up on row `{row_id}`: {reason}",
            "model.tokenizer",
            "mend or delete the row, or name another tokenizer: a pattern in its tokenizer.json, or a token "
            "that is missing there, cannot take this text",
        ) from error

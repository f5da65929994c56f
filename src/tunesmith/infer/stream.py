"""One answer, word by word as it is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunesmith.infer.load import Opened

UNFINISHED = "\ufffd"
"""What a tokenizer writes for a character of which some bytes are still to come."""


def stream_answer(opened: Opened, prompt: Sequence[int], *, max_new_tokens: int) -> Iterator[str]:
    """Greedy answer to a tokenised prompt, in pieces of text that add up to it.

    Characters that span tokens are held back until they are whole. Whoever stops reading stops the
    generation.
    """
    tokenizer = opened.tokenizer
    assert tokenizer is not None
    made: list[int] = []
    said = ""
    for token in _stream_tokens(opened, prompt, max_new_tokens):
        made.append(token)
        text = tokenizer.decode(made, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        if not text.endswith(UNFINISHED) and text.startswith(said) and text != said:
            yield text[len(said) :]
            said = text
    text = tokenizer.decode(made, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    if text.startswith(said) and text != said:
        yield text[len(said) :]


def _stream_tokens(opened: Opened, prompt: Sequence[int], max_new_tokens: int) -> Iterator[int]:
    import torch
    from transformers import DynamicCache

    from tunesmith.tasks.generation import end_tokens_of

    model = opened.model
    ends = end_tokens_of(opened.tokenizer, getattr(model, "generation_config", None))
    cache = DynamicCache(config=model.config)
    ids = torch.tensor([list(prompt)], device=model.device)
    for _ in range(max_new_tokens):
        with torch.no_grad():
            output = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        token = int(output.logits[0, -1].argmax())
        if token in ends:
            return
        yield token
        ids = torch.tensor([[token]], device=model.device)

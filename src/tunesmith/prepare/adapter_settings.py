"""An adapter that stays apart is opened over its base, whose own settings say where an answer ends.

No file beside an adapter tells plain peft another end. So where answers end with a mark that the base does
not stop at, such as the ``<|im_end|>`` of a chat template over a base that ends texts with ``<|endoftext|>``,
training rows go on with the base's own end: whoever opens the adapter sees it stop, a token later.
"""

from __future__ import annotations

from typing import Any

from tunesmith.model.check.notice import notice
from tunesmith.model.end_tokens import turn_end_of
from tunesmith.model.load import plain_ends
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.table import spec_of
from tunesmith.sources.address import HubAddress, parse_address


def merges(recipe: Recipe) -> bool:
    """Whether adapters become part of the weights: by default, if nobody else could find their base."""
    if recipe.model.source is None or recipe.run.merge != "auto":
        return recipe.run.merge != "no"
    return not isinstance(parse_address(recipe.model.source), HubAddress)


def closing_token(recipe: Recipe, tokenizer: Any, config: Any) -> int | None:
    """The token that training rows go on with after their last answer; ``None`` if they need none."""
    if spec_of(recipe.task).output != "tokens" or recipe.tune.lora is None or merges(recipe):
        return None
    templated = recipe.model.chat_template != "none" and bool(tokenizer.chat_template)
    mark = turn_end_of(tokenizer) if templated else tokenizer.eos_token_id
    ends = plain_ends(recipe.model, config)
    if mark is None or mark in ends:
        return None
    told = f"answers end with `{tokenizer.convert_ids_to_tokens(mark)}`"
    if not ends:
        notice(
            f"{told}, and the base model names no end of its own: open the adapter with "
            f"`generate(eos_token_id={mark})`, or merge it with `run.merge: yes`"
        )
        return None
    closing = ends[0]
    notice(
        f"{told}, at which the base model does not stop; so that plain peft stops as well, training rows "
        f"go on with the base's own end, `{tokenizer.convert_ids_to_tokens(closing)}`"
    )
    return closing

"""What should be known of encoded rows before anything is learnt from them, a sentence each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunesmith.data.row import Row
from tunesmith.suggest import listed
from tunesmith.tasks.language.rendering import names_in, unwritten_keys
from tunesmith.tasks.task import Example


def encoding_notes(processor: Any, rows: Sequence[Row], examples: Sequence[Example]) -> list[str]:
    """Answers whose end is not learnt, and what of their messages the chat template has no word for.

    Args:
        processor: the tokenizer, where there is one.
        rows: those to learn from.
        examples: the same, encoded.
    """
    notes = []
    if rows and "messages" in rows[0].fields:
        unwritten = {key for row in rows for key in unwritten_keys(processor, row.fields["messages"])}
        if unwritten:
            notes.append(f"note: nothing is taken from {listed(sorted(unwritten))} of the messages")
        given = {name for row in rows for name in row.fields.get("chat_template_kwargs", ())}
        if unknown := given - names_in(processor):
            notes.append(f"warning: the chat template has no word for {listed(sorted(unknown))}")
    return [*notes, *(f"warning: {note}" for note in _ends(processor, examples))]


def _ends(tokenizer: Any, examples: Sequence[Example]) -> list[str]:
    first = {one["end"]: one for one in reversed(examples) if one.get("end", "learnt") != "learnt"}
    rows = {end: f"{sum(one['end'] == end for one in examples)} rows" for end in first}
    notes = []
    if "added" in first:
        written = first["added"]["closing"]
        notes.append(
            "the chat template writes no token that ends an answer"
            + (f" (`{written}` is none)" if written else "")
            + f": `{tokenizer.eos_token}` is put behind the answers of {rows['added']}, so that the model "
            "learns to stop"
        )
    if "open" in first:
        way = "give a template that writes one behind every answer in `model.chat_template`"
        if not tokenizer.eos_token:
            way = "the tokenizer has no end-of-text token; name one that has in `model.tokenizer`"
        notes.append(
            f"answers or texts of {rows['open']}, `{first['open']['id']}` the first, end with no token that "
            f"ends an answer, so that the model does not learn to stop there: {way}"
        )
    if "inside" in first:
        notes.append(
            f"answers of {rows['inside']}, `{first['inside']['id']}` the first, hold a token that ends an "
            "answer before their own end: a model that gives it stops there, and the rest is not compared"
        )
    return notes

"""Rows as the model will see them: every token, special ones and blanks visible, loss marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_LOSS = ("\x1b[30;42m", "\x1b[30;102m")  # two greens, so that neighbouring tokens can be told apart
_CONTEXT = ("\x1b[2m", "\x1b[0m")
_RESET = "\x1b[0m"
_VISIBLE = {" ": "·", "\t": "→", "\r": "␍", "\n": "⏎\n"}


def render(rows: Sequence[Mapping[str, Any]], *, colour: bool) -> str:
    """The rows as text for a terminal.

    Args:
        rows: ``{"id", "tokens": [[text, carries loss], ...]}``, as in ``preview.json``.
        colour: whether to use colours; otherwise tokens that carry loss stand in brackets.
    """
    if not rows:
        return "there are no rows to show"
    return "\n\n".join([_legend(colour), *(_row(row, colour) for row in rows)])


def _legend(colour: bool) -> str:
    if colour:
        loss = f"{_LOSS[0]}carries{_RESET}{_LOSS[1]}·loss{_RESET}"
        context = f"{_CONTEXT[0]}seen{_RESET}·only"
    else:
        loss, context = "[carries][·loss]", "seen·only"
    return f"{loss}   {context}   · blank   → tab   ⏎ new line"


def _row(row: Mapping[str, Any], colour: bool) -> str:
    tokens = [(str(text), bool(carries)) for text, carries in row["tokens"]]
    supervised = sum(carries for _, carries in tokens)
    head = f"{visible(str(row['id']))}: {len(tokens)} tokens, {supervised} carry loss"
    head += "" if supervised else " (nothing to learn from)"
    return f"{head}\n{''.join(_coloured(tokens) if colour else _bracketed(tokens))}".rstrip("\n")


def _bracketed(tokens: Iterable[tuple[str, bool]]) -> Iterable[str]:
    for text, carries in tokens:
        shown = visible(text)
        if carries:
            body = shown.rstrip("\n")
            yield f"[{body}]{shown[len(body) :]}"
        else:
            yield shown


def _coloured(tokens: Iterable[tuple[str, bool]]) -> Iterable[str]:
    for number, (text, carries) in enumerate(tokens):
        style = (_LOSS if carries else _CONTEXT)[number % 2]
        shown = visible(text)
        body = shown.rstrip("\n")
        yield f"{style}{body}{_RESET}{shown[len(body) :]}"


def visible(text: str) -> str:
    """Blanks as signs, and everything that a terminal would not print as an escape."""
    return "".join(
        _VISIBLE.get(letter) or (letter if letter.isprintable() else letter.encode("unicode_escape").decode())
        for letter in text
    )

"""What a chat template writes around an answer, which the answer is compared without."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_THOUGHT = re.compile(r"(</\w+>|\[/\w+\])$")


@dataclass(frozen=True, slots=True)
class Frame:
    """The template's own words around an answer, without blanks at their ends.

    Attributes:
        opening: before it, thoughts included.
        closing: behind it.
    """

    opening: str = ""
    closing: str = ""

    def inside(self, answer: str) -> str:
        """A generated answer without the frame; one that does not open so stays as it is.

        Behind thoughts begins what is compared, whatever was thought.
        """
        if self.opening and answer.startswith(self.opening):
            answer = answer[len(self.opening) :]
        elif (mark := self._mark()) and mark in answer:
            answer = answer.partition(mark)[2]
        if self.closing and answer.rstrip().endswith(self.closing):
            answer = answer.rstrip()[: -len(self.closing)]
        return answer.strip()

    def is_open(self, beginning: str) -> bool:
        """Whether a beginning may still become the frame's opening, so that its rest must be told."""
        if not self.opening or beginning.startswith(self.opening):
            return False
        mark = self._mark()
        return mark not in beginning if mark else self.opening.startswith(beginning)

    def _mark(self) -> str:
        found = _THOUGHT.search(self.opening)
        return found[1] if found is not None else ""


def decoded(tokenizer: Any, tokens: Sequence[int]) -> str:
    """The text of tokens, every one of them written as it is, special ones too; no outer blanks."""
    text = tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return str(text).strip()

"""What the pass for the loss proves of a greedy answer: all of it, or that it cannot equal the reference."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from tunesmith.tasks.language.answer_frame import Frame
from tunesmith.tasks.task import UNFINISHED, Example

_BROKEN = "\N{REPLACEMENT CHARACTER}"
_PIECEWISE = {"ByteLevel", "Metaspace", "ByteFallback", "Fuse"}


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """What greedy generation is known to give.

    Attributes:
        tokens: the first ones, without an end token.
        whole: whether nothing comes after them.
        missed: whether the last of them is another than the reference's.
    """

    tokens: list[int]
    whole: bool
    missed: bool


def known_answer(
    reference: Sequence[int], choices: Sequence[int], ends: Sequence[int], most: int
) -> KnownAnswer:
    """Follow the model's first choices as far as the reference was its own path.

    Where the choice is the reference's next token, generation would have come to the same place; the first
    other choice is still generation's, and nothing is known behind it. The pass is believed in near ties as
    well, whichever side they fall on: a second opinion on misses alone would make the model look better.

    Args:
        reference: tokens of the answer, to and with its end token if it has one.
        choices: first choice at each of them.
        ends: tokens that end an answer.
        most: tokens of an answer at most.
    """
    pairs = list(zip(reference, choices, strict=True))
    hits = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
    walked = choices[: hits + 1]
    tokens = list(takewhile(lambda token: token not in ends, walked))[:most]
    whole = len(tokens) < len(walked) or len(tokens) == most
    return KnownAnswer(tokens, whole, missed=len(tokens) > hits)


def known_answer_of(example: Example, choices: Sequence[int], ends: Sequence[int], most: int) -> KnownAnswer:
    """What is known of an example's last answer, by the choices at all of its supervised tokens."""
    ids, marks, start = example["input_ids"], example["supervised"], example["prompt_length"]
    shown = ids[start : next((i for i in range(start, len(ids)) if not marks[i]), len(ids))]
    before = sum(marks[1:start])
    return known_answer(shown, choices[before : before + len(shown)], ends, most)


def cannot_become(text: str, reference: str) -> bool:
    """Whether no text that begins with ``text`` equals the reference, blanks aside.

    All blanks are left out, as decoding and comparing may take some away; and so are marks of incomplete
    characters at the end, which further tokens may complete. Both leave more open than there is. A reference
    that has such a mark itself is always open: further tokens can turn a whole character into one.
    """
    wanted = _bare(reference)
    return _BROKEN not in wanted and not wanted.startswith(_bare(text).rstrip(_BROKEN))


def _bare(text: str) -> str:
    return "".join(text.split())


def decodes_piecewise(tokenizer: Any) -> bool:
    """Whether more tokens only add to a text, but for its blanks and an incomplete character at its end.

    WordPiece puts words together anew (``do not`` becomes ``don't``), and others are not known.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return False
    return all(_adds(part) for part in _parts(json.loads(backend.to_str())["decoder"]))


def _parts(decoder: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    if decoder is None:
        yield {"type": None}  # tokens joined with blanks
    elif decoder["type"] == "Sequence":
        for part in decoder["decoders"]:
            yield from _parts(part)
    else:
        yield decoder


def _adds(part: dict[str, Any]) -> bool:
    if part["type"] == "Replace":
        return len(part["pattern"].get("String", "")) == 1
    if part["type"] == "Strip":
        return not part["content"].strip()
    return part["type"] in {*_PIECEWISE, None}


def prediction_of(
    told: KnownAnswer, reference: str, text: Callable[[Sequence[int]], str], frame: Frame, *, only_equal: bool
) -> str | None:
    """The answer, or its beginning and ``…`` where that is enough; ``None`` where it must be generated.

    Args:
        told: what is known.
        reference: the answer's reference, as text.
        text: decodes.
        frame: what the template writes around the answer; the reference and what is given are without it.
        only_equal: whether it only matters if the answer equals the reference.
    """
    whole = text(told.tokens)
    if told.whole:
        return frame.inside(whole)
    if not (only_equal and told.missed) or frame.is_open(whole):
        return None
    beginning = frame.inside(whole)
    return beginning + UNFINISHED if cannot_become(beginning, reference + frame.closing) else None

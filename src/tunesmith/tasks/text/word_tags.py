"""The words of a text and where they stand; tags of words to marked places, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.data.map.normalise import BadRow
from tunesmith.data.row import Row
from tunesmith.metrics.families.tags import OUTSIDE, entities

_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Words:
    """A text in words.

    Attributes:
        text: whole.
        places: begin and end of each word, in characters.
    """

    text: str
    places: tuple[tuple[int, int], ...]


def joined(words: Sequence[Any]) -> Words:
    """Words as a text, a blank between each two."""
    text, places, at = " ".join(map(str, words)), [], 0
    for word in map(str, words):
        places.append((at, at + len(word)))
        at += len(word) + 1
    return Words(text, tuple(places))


def parted(text: str) -> Words:
    """A text in runs of letters and digits, and single other signs."""
    return Words(text, tuple(match.span() for match in _WORD.finditer(text)))


def row_words(row: Row) -> Words:
    """The words of a row: given ones, or those of its text."""
    return joined(row.fields["tokens"]) if "tokens" in row.fields else parted(str(row.fields["text"]))


def tags_of(row: Row, words: Words) -> list[str]:
    """The tag of each word.

    Raises:
        BadRow: they are fewer or more than the words, hold a blank, or mark places that cannot be tagged.
    """
    if "tokens" not in row.fields:
        return tags_of_spans(words, row.fields["spans"])
    tags = [str(tag) for tag in row.fields["tags"]]
    if len(tags) != len(words.places):
        raise BadRow("malformed", f"{len(words.places)} words and {len(tags)} tags")
    blank = next((tag for tag in tags if len(tag.split()) != 1), None)
    if blank is not None:
        raise BadRow("malformed", f"tag `{blank}` holds a blank")
    return tags


def tags_of_spans(words: Words, spans: Sequence[Mapping[str, Any]]) -> list[str]:
    """BIO tags (Ramshaw and Marcus 1995) of marked places. A word counts if any part of it is marked.

    Blanks in a label become ``_``, since blanks part the tags of a text.

    Raises:
        BadRow: two of them share a word, or one holds none.
    """
    ordered = sorted(spans, key=lambda span: int(span["start"]))
    tags = [OUTSIDE] * len(words.places)
    for span in ordered:
        label = "_".join(str(span["label"]).split())
        held = [
            number
            for number, (start, end) in enumerate(words.places)
            if start < span["end"] and span["start"] < end
        ]
        where = f"from {span['start']} to {span['end']}"
        if not held:
            raise BadRow("malformed", f"the span {where} holds no word")
        if any(tags[number] != OUTSIDE for number in held):
            raise BadRow("malformed", f"the span {where} shares a word with another")
        tags[held[0]] = f"B-{label}"
        for number in held[1:]:
            tags[number] = f"I-{label}"
    return tags


def spans_of_tags(words: Words, tags: Sequence[str]) -> list[dict[str, Any]]:
    """The marked places that tags stand for, with their text."""
    found = []
    for first, behind, label in entities(tags):
        start, end = words.places[first][0], words.places[behind - 1][1]
        found.append({"start": start, "end": end, "label": label, "text": words.text[start:end]})
    return found

"""What a file of rows is, judged by its columns and first rows (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.recipe.tasks.language import CAUSAL_LM
from tunesmith.recipe.tasks.text import REGRESSION, SEQUENCE_CLASSIFICATION
from tunesmith.recipe.tasks.vectors import EMBEDDING
from tunesmith.recipe.tasks.vision import IMAGE_CLASSIFICATION

Rows = Sequence[Mapping[str, Any]]

_PROMPTS = ("prompt", "question", "query", "input", "source", "user", "context")
_COMPLETIONS = ("completion", "answer", "response", "output", "reply", "assistant", "target", "summary")
_TEXTS = (
    "text",
    "sentence",
    "content",
    "review",
    "question",
    "tweet",
    "document",
    "body",
    "message",
    "title",
)
_LABELS = ("label", "labels", "class", "category", "intent", "topic", "kind", "type", "sentiment", "target")
_NUMBERS = ("target", "score", "rating", "value", "stars", "label", "sentiment", "similarity", "price", "y")
_IMAGES = ("image", "img", "picture", "photo", "file", "path")
_IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_JOINED = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("sentence_a", "sentence_b"),
    ("s1", "s2"),
    ("query", "passage"),
    ("query", "document"),
    ("question", "passage"),
    ("question", "sentence"),
    ("question", "context"),
    ("title", "text"),
    ("title", "body"),
    ("title", "content"),
    ("title", "description"),
    ("title", "abstract"),
    ("headline", "body"),
    ("subject", "body"),
)
"""Columns of text that belong together."""
_BETWEEN = " [SEP] "
_CONTEXTS = ("context", "passage", "document", "article", "background")
_QUESTIONS = ("question", "query", "prompt")
_NEVER = ("id", "idx", "index", "uuid", "guid", "")


KNOWN_NAMES = frozenset((*_PROMPTS, *_COMPLETIONS, *_TEXTS, *_LABELS, *_NUMBERS, *_IMAGES, *_NEVER)) | {
    name for pair in _JOINED for name in pair
}
"""Names that columns have, and cells of a row hardly ever."""


@dataclass(frozen=True, slots=True)
class Guess:
    """One reading of a file.

    Attributes:
        task: the task that it suits.
        fields: the recipe's field -> the column, or a template of several.
        doubts: what a person should look at.
    """

    task: str
    fields: Mapping[str, str]
    doubts: tuple[str, ...] = ()


def guesses(columns: Sequence[str], rows: Rows) -> list[Guess]:
    """All readings that the rows allow, the likeliest first.

    Args:
        columns: names, in the order of the file.
        rows: the first rows, column -> value.
    """
    usable = [name for name in columns if name.lower() not in _NEVER]
    return [
        *_conversations(usable, rows),
        *_images(usable, rows),
        *_instructions(usable),
        *_pairs(usable, rows),
        *_numbers(usable, rows),
        *_labels(usable, rows),
        *_prompted_labels(usable, rows),
        *_plain_text(usable, rows),
        *_together(usable, rows),
    ]


def _conversations(columns: Sequence[str], rows: Rows) -> Iterator[Guess]:
    for column in columns:
        turns = next((value for value in _values(column, rows) if value), None)
        if isinstance(turns, list) and all(isinstance(turn, Mapping) for turn in turns):
            if {"role", "content"} <= turns[0].keys():
                yield Guess(CAUSAL_LM.name, {"messages": column})
            elif {"from", "value"} <= turns[0].keys():
                yield Guess(CAUSAL_LM.name, {"conversations": column})


def _images(columns: Sequence[str], rows: Rows) -> Iterator[Guess]:
    images = _preferred([name for name in columns if _is_image(name, rows)], _IMAGES)
    for image in images[:1]:
        for label in _label_columns([name for name in columns if name != image], rows)[:1]:
            yield Guess(
                IMAGE_CLASSIFICATION.name, {"image": image, "label": label}, _label_doubts(label, rows)
            )


def _is_image(column: str, rows: Rows) -> bool:
    values = _values(column, rows)
    return bool(values) and all(
        (isinstance(value, Mapping) and {"bytes", "path"} & value.keys())
        or hasattr(value, "getbands")  # a picture that is open
        or (isinstance(value, str) and value.lower().endswith(_IMAGE_ENDINGS))
        for value in values
    )


def _instructions(columns: Sequence[str]) -> Iterator[Guess]:
    names = _by_name(columns)
    answer = next(
        (names[name] for name in ("output", "response", "answer", "completion") if name in names), None
    )
    if "instruction" in names and answer is not None:
        optional = {"input": names["input"]} if "input" in names else {}
        yield Guess(CAUSAL_LM.name, {"instruction": names["instruction"], **optional, "output": answer})


def _pairs(columns: Sequence[str], rows: Rows) -> Iterator[Guess]:
    texts = [name for name in columns if _is_text(name, rows)]
    prompts = [name for name in _preferred(texts, _PROMPTS) if name.lower() in _PROMPTS]
    answers = [name for name in _preferred(texts, _COMPLETIONS) if name.lower() in _COMPLETIONS]
    if prompts and answers and prompts[0] != answers[0]:
        context = next((name for name in texts if name.lower() in _CONTEXTS and name != answers[0]), None)
        asked = prompts[0]
        if context is not None and context != asked and asked.lower() in _QUESTIONS:
            asked = f"{{{context}}}\n\n{{{asked}}}"
        rest = [name for name in texts if name not in (*columns_of(asked, columns), answers[0])]
        yield Guess(CAUSAL_LM.name, {"prompt": asked, "completion": answers[0]}, _left_out(rest))


def _numbers(columns: Sequence[str], rows: Rows) -> Iterator[Guess]:
    numbers = _preferred([name for name in columns if _is_measure(name, rows)], _NUMBERS)
    for text, left in _text_of([name for name in columns if name not in numbers], rows):
        for number in numbers[:1]:
            more = f"other columns with numbers: {', '.join(numbers[1:])}" if len(numbers) > 1 else ""
            yield Guess(REGRESSION.name, {"text": text, "target": number}, ((more,) if more else ()) + left)


def _labels(columns: Sequence[str], rows: Rows) -> Iterator[Guess]:
    labels = _label_columns(columns, rows)
    for label in labels[:1]:
        for text, left in _text_of([name for name in columns if name != label], rows):
            doubts = (*_label_doubts(label, rows), *left)
            yield Guess(SEQUENCE_CLASSIFICATION.name, {"text": text, "label": label}, doubts)


def _prompted_labels(columns: Sequence[str], rows: Rows) -> Iterator[Guess]:
    """Text and label as a question and its answer."""
    for guess in _labels(columns, rows):
        prompt = guess.fields["text"].replace(_BETWEEN, "\n")
        fields = {"prompt": prompt, "completion": guess.fields["label"]}
        doubt = 'a sentence around the text usually helps: prompt: "What kind of text is this? {column}"'
        yield Guess(CAUSAL_LM.name, fields, (*guess.doubts, doubt))


def _plain_text(columns: Sequence[str], rows: Rows) -> Iterator[Guess]:
    for text, left in _text_of(columns, rows):
        plain = {"text": text.replace(_BETWEEN, "\n")}
        yield Guess(CAUSAL_LM.name, plain, ("plain text: every token carries loss", *left))


def _together(columns: Sequence[str], rows: Rows) -> Iterator[Guess]:
    """Two texts that belong together."""
    texts = [name for name in columns if _is_text(name, rows)]
    names, asked = _by_name(texts), [name for name in _preferred(texts, _PROMPTS) if name.lower() in _PROMPTS]
    known = [(names[a], names[b]) for a, b in (("anchor", "positive"), *_JOINED) if a in names and b in names]
    pairs = known or [(one, other) for one in (*asked, *texts) for other in texts if one != other]
    for first, second in pairs[:1]:
        third = {"negative": names["negative"]} if "negative" in names else {}
        rest = [name for name in texts if name not in (first, second, *third.values())]
        yield Guess(EMBEDDING.name, {"anchor": first, "positive": second, **third}, _left_out(rest))


def _text_of(columns: Sequence[str], rows: Rows) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The text to read: one column, or a template of two that belong together; and what to say of others."""
    texts = _text_columns(columns, rows)
    names = _by_name(texts)
    for first, second in _JOINED:
        if first in names and second in names:
            pair = (names[first], names[second])
            joined = _BETWEEN.join(f"{{{name}}}" for name in pair)
            both = f"columns `{pair[0]}` and `{pair[1]}` are joined into one text"
            yield joined, (both, *_left_out([name for name in texts if name not in pair]))
            return
    for text in texts[:1]:
        yield text, _left_out(texts[1:])


def _left_out(texts: Sequence[str]) -> tuple[str, ...]:
    """That there are other columns with text, which are not read."""
    if not texts:
        return ()
    shown = ", ".join(f"`{name}`" for name in texts[:4])
    return (f'left out, though it holds text: {shown}; a template reads several, "{{a}} {{b}}"',)


def columns_of(spec: str, columns: Sequence[str]) -> list[str]:
    """The columns that a field is made of: one, or those in the braces of a template."""
    return [spec] if spec in columns else [name for name in columns if f"{{{name}}}" in spec]


def _text_columns(columns: Sequence[str], rows: Rows) -> list[str]:
    texts = [name for name in columns if _is_text(name, rows)]
    longest = sorted(texts, key=lambda name: -sum(len(value) for value in _values(name, rows)))
    return _preferred(longest, _TEXTS)


def _label_columns(columns: Sequence[str], rows: Rows) -> list[str]:
    """Columns whose values repeat: two at least, and fewer than half as many as rows."""
    found: dict[str, int] = {}
    for name in columns:
        values = _values(name, rows)
        if not all(isinstance(value, str | int) for value in values):
            continue
        distinct = len({str(value) for value in values})
        if 1 < distinct <= max(2, len(values) // 2) or (distinct > 1 and name.lower() in _LABELS[:2]):
            found[name] = distinct
    return _preferred(sorted(found, key=lambda name: found[name]), _LABELS)


def _label_doubts(label: str, rows: Rows) -> tuple[str, ...]:
    values = [str(value) for value in _values(label, rows)]
    distinct = sorted(set(values), key=values.count, reverse=True)
    if len(distinct) > len(values) // 2:
        return (
            f"column `{label}` has {len(distinct)} different values in {len(values)} rows: is it the label?",
        )
    return ()


def _is_text(column: str, rows: Rows) -> bool:
    values = _values(column, rows)
    texts = all(isinstance(value, str) for value in values)
    return texts and any(math.isnan(_as_number(value)) for value in values) and not _is_image(column, rows)


def _is_measure(column: str, rows: Rows) -> bool:
    """Numbers that are no classes: some have a fraction, or there are more than twenty different ones."""
    numbers = [_as_number(value) for value in _values(column, rows)]
    if not numbers or any(math.isnan(number) for number in numbers):
        return False
    return any(not number.is_integer() for number in numbers) or len(set(numbers)) > 20


def _as_number(value: Any) -> float:
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")
    return number if math.isfinite(number) else float("nan")


def _values(column: str, rows: Rows) -> list[Any]:
    return [row[column] for row in rows if row.get(column) not in (None, "")]


def _by_name(columns: Sequence[str]) -> dict[str, str]:
    return {name.lower(): name for name in columns}


def _preferred(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    """The columns, those with a telling name first."""
    rank = {name: number for number, name in enumerate(names)}
    return sorted(columns, key=lambda name: rank.get(name.lower(), len(names)))

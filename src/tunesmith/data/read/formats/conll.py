"""CoNLL files: a word a line with its columns, a blank line after each sentence, which is a row of lists.

CoNLL-U (ten columns behind tabs, universaldependencies.org/format.html) has names of its own; in other
files the columns are ``column_1`` and so on, unless the recipe names them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tunesmith.data.read.bounds import MOST_CELL
from tunesmith.data.read.decode import decoded_lines, problem_of
from tunesmith.data.read.raw import Item, RawRow
from tunesmith.data.row import Skip

CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
WORDS = "tokens"
"""Column of the words themselves: ``form`` in CoNLL-U, the first one elsewhere."""


@dataclass(slots=True)
class _Sentence:
    """What has been read of one."""

    row_id: str
    words: list[list[str]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    problem: str = ""

    def add(self, line: str, number: int) -> None:
        """A line that is not blank."""
        if line.startswith("#") and not self.words and "\t" not in line:
            self.comments.append(line)
            return
        cells = line.split("\t") if "\t" in line else line.split()
        if self.words and len(cells) != len(self.words[0]):
            what = f"line {number} has {len(cells)} columns, and the sentence began with {len(self.words[0])}"
            self.problem = self.problem or what
        self.words.append(cells)


def read_conll(path: Path, label: str, encoding: str, columns: Sequence[str] | None) -> Iterator[Item]:
    """The sentences of a file; one with lines of different widths is ``malformed``.

    Raises:
        UserError: as ``decoded_lines`` does.
    """
    sentence = _Sentence("")
    used = 0
    for number, line in decoded_lines(path, encoding):
        if not line.strip() or line.startswith("-DOCSTART-"):
            yield from _row(sentence, columns)
            sentence, used = _Sentence(""), 0
            continue
        sentence.row_id = sentence.row_id or f"{label}:{number}"
        sentence.problem = sentence.problem or problem_of(line, encoding) or ""
        used += len(line)
        if used > MOST_CELL:
            sentence.problem = "no blank line ends the sentence; is this a CoNLL file?"
            continue
        sentence.add(line, number)
    yield from _row(sentence, columns)


def _row(sentence: _Sentence, columns: Sequence[str] | None) -> Iterator[Item]:
    if sentence.problem:
        yield Skip(sentence.row_id, "malformed", sentence.problem)
    if sentence.problem or not sentence.words:
        return
    first, width = sentence.words[0], len(sentence.words[0])
    universal = columns is None and width == len(CONLLU) and first[0].partition("-")[0].isdecimal()
    # Lines such as 3-4 and 8.1 stand for what is written as one word, and for what is not written.
    words = [cells for cells in sentence.words if not universal or cells[0].isdecimal()]
    if not universal:  # a sentence may begin with the word `#`
        words = [line.split() for line in sentence.comments if len(line.split()) == width] + words
    names = list(CONLLU if universal else columns or [f"column_{number}" for number in range(1, width + 1)])
    if len(names) != width:
        detail = f"{width} columns, and `columns` has {len(names)} names"
        yield Skip(sentence.row_id, "malformed", detail)
        return
    if columns is None:
        names[1 if universal else 0] = WORDS
    lists = {name: [cells[place] for cells in words] for place, name in enumerate(names)}
    yield RawRow(sentence.row_id, {**(_told(sentence.comments) if universal else {}), **lists})


def _told(comments: Sequence[str]) -> dict[str, str]:
    """What CoNLL-U says of a sentence: ``# text = …``."""
    pairs = [line[1:].partition("=") for line in comments]
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}

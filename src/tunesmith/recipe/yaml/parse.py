"""YAML text to a tree with positions, strictly: limits against bombs, no tags, no duplicate keys.

Only PyYAML's event parser is used; nothing of its object construction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tunesmith.recipe.finding import Finding, RecipeTrouble, Spot
from tunesmith.recipe.yaml.nodes import Entry, ListNode, MapNode, Node, ScalarNode, resolve_scalar
from tunesmith.recipe.yaml.text import refuse_characters, split_lines
from tunesmith.suggest import shorten

MAX_DEPTH = 50
MAX_NODES = 12_000
MAX_ALIASES = 500

_Parser: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNSAFE = re.compile("[\x00\ud800-\udfff]")


def parse(text: str, name: str, folder: Path) -> Node | None:
    """The one document of ``text``; None if there is nothing in it.

    Args:
        text: YAML.
        name: what messages call it.
        folder: what relative paths in it are relative to.

    Raises:
        RecipeTrouble: whatever is wrong with it, duplicates and tags all at once.
    """
    lines = split_lines(text)
    refuse_characters(text, lines, name, folder)
    composer = _Composer(name, folder, lines, _events(text, name, folder, lines))
    node = composer.document()
    if composer.findings:
        raise RecipeTrouble(composer.findings)
    return node


def _events(text: str, name: str, folder: Path, lines: list[str]) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=_Parser)
    except yaml.YAMLError as error:
        raise RecipeTrouble([syntax_finding(error, lines, name, folder)]) from None


@dataclass
class _Composer:
    """Events to nodes. Sizes are counted with aliases spelt out, so that a bomb is seen while it is built."""

    name: str
    folder: Path
    lines: list[str]
    events: Iterator[yaml.Event]
    anchors: dict[str, tuple[Node, int, int]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    aliases: int = 0

    def document(self) -> Node | None:
        node: Node | None = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if node is not None:
                    raise self._stop("a second document starts here", event, "keep one recipe in a file")
                node = self._node(next(self.events), 1)[0]
        return node

    def _spot(self, event: yaml.Event) -> Spot:
        start, end = event.start_mark, event.end_mark
        assert start is not None
        assert end is not None
        text = self.lines[start.line] if start.line < len(self.lines) else ""
        width = (end.column if end.line == start.line else len(text)) - start.column
        return Spot(self.name, self.folder, start.line + 1, start.column + 1, max(1, width), text)

    def _stop(self, what: str, event: yaml.Event, hint: str) -> RecipeTrouble:
        return RecipeTrouble([*self.findings, Finding(what, self._spot(event), hint)])

    def _node(self, event: yaml.Event, depth: int) -> tuple[Node, int, int]:
        """The node that starts with ``event``, its size and its height."""
        if depth > MAX_DEPTH:
            raise self._stop(f"nested more than {MAX_DEPTH} deep", event, "a recipe needs about six levels")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        assert isinstance(event, yaml.NodeEvent)
        tag = getattr(event, "tag", None)
        if tag is not None:
            what = f"tag `{shorten(tag)}` is refused"
            hint = "a recipe holds plain text, numbers, lists and mappings; take the `!…` away"
            self.findings.append(Finding(what, self._spot(event), hint))
        if isinstance(event, yaml.ScalarEvent):
            found: tuple[Node, int, int] = (self._scalar(event), 1, 0)
        elif isinstance(event, yaml.SequenceStartEvent):
            found = self._list(event, depth)
        else:
            found = self._mapping(event, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = found
        return found

    def _alias(self, event: yaml.AliasEvent, depth: int) -> tuple[Node, int, int]:
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            raise self._stop(f"more than {MAX_ALIASES} aliases", event, "write the values out")
        if event.anchor not in self.anchors:
            what = f"alias `*{event.anchor}` stands for nothing"
            raise self._stop(what, event, f"put `&{event.anchor}` before it, or the text in quotes")
        node, size, height = self.anchors[event.anchor]
        if depth + height > MAX_DEPTH:
            raise self._stop(f"nested more than {MAX_DEPTH} deep", event, "a recipe needs about six levels")
        return node, size, height

    def _scalar(self, event: yaml.ScalarEvent) -> ScalarNode:
        plain = not event.style
        if _UNSAFE.search(event.value):
            what = "text holds a NUL or half a character pair"
            self.findings.append(Finding(what, self._spot(event), "take the escape away"))
        return ScalarNode(
            resolve_scalar(event.value) if plain else event.value, event.value, plain, self._spot(event)
        )

    def _list(self, start: yaml.Event, depth: int) -> tuple[Node, int, int]:
        items: list[Node] = []
        size, height = 1, 0
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            node, more, below = self._node(event, depth + 1)
            items.append(node)
            size, height = self._grown(size + more, event), max(height, below + 1)
        return ListNode(tuple(items), self._spot(start)), size, height

    def _mapping(self, start: yaml.Event, depth: int) -> tuple[Node, int, int]:
        entries: dict[str, Entry] = {}
        inherited: list[Node] = []
        size, height = 1, 0
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)[0]
            value, more, below = self._node(following := next(self.events), depth + 1)
            size, height = self._grown(size + 1 + more, following), max(height, below + 1)
            if not isinstance(key, ScalarNode):
                hint = "a text that starts with `{` or `[` needs quotes"
                self.findings.append(Finding("a key must be a single word or text", self._spot(event), hint))
            elif key.plain and key.text == "<<":
                inherited += self._merge_sources(value, event)
            elif key.text in entries:
                self._duplicate(key, entries[key.text])
            else:
                entries[key.text] = Entry(self._spot(event), value)
        for node in inherited:
            assert isinstance(node, MapNode)
            entries = {**entries, **{key: old for key, old in node.entries.items() if key not in entries}}
        return MapNode(entries, self._spot(start)), size, height

    def _merge_sources(self, value: Node, event: yaml.Event) -> list[Node]:
        sources: list[Node] = list(value.items) if isinstance(value, ListNode) else [value]
        if all(isinstance(source, MapNode) for source in sources):
            return sources
        hint = "write `<<: *name`, where `&name` marks a mapping"
        self.findings.append(Finding("`<<` needs a mapping or a list of mappings", self._spot(event), hint))
        return []

    def _duplicate(self, key: ScalarNode, first: Entry) -> None:
        what = f"key `{shorten(key.text)}` stands twice, on lines {first.spot.line} and {key.spot.line}"
        self.findings.append(Finding(what, key.spot, "keep one of them"))

    def _grown(self, size: int, event: yaml.Event) -> int:
        if size > MAX_NODES:
            hint = "is it a data file, or do its aliases multiply?"
            raise self._stop(f"more than {MAX_NODES:,} values, aliases spelt out", event, hint)
        return size


_QUOTE = "put the text in quotes"
_BRACKETED = re.compile(r"""(?<![\w"'\]])[A-Za-z_][\w./:@-]*(?:\[[^][{}"',]+\])+""")
"""A name with a bracket of its own, such as ``f1[spam]``, outside of quotes."""
_STARTS_OPEN = re.compile(r"(?::|-) +[{\[]")


def syntax_finding(error: yaml.YAMLError, lines: list[str], name: str, folder: Path) -> Finding:
    """Turn the parser's exception into a finding at its place."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = str(getattr(error, "problem", None) or "unreadable")
    context = str(getattr(error, "context", None) or "")
    row, column = (mark.line, mark.column) if mark is not None else (0, 0)
    while row > 0 and (row >= len(lines) or not lines[row].strip()):
        row -= 1
        column = len(lines[row])
    line = lines[row]
    spot = Spot(name, folder, row + 1, column + 1, 1, line)
    what, hint = _explain(problem, context, line, column)
    return Finding(what, spot, hint)


def _explain(problem: str, context: str, line: str, column: int) -> tuple[str, str]:
    indent = line[: len(line) - len(line.lstrip())]
    at = line[column : column + 1]
    if "\t" in indent or at == "\t":
        return "a tab where YAML wants blanks", "indent with blanks"
    if "cannot start any token" in problem:
        return f"text cannot start with `{at}`", _QUOTE
    if "mapping values are not allowed" in problem:
        return "a second `: ` in one value, or a key that is indented too far", f"{_QUOTE}, or align the key"
    if "quoted" in context or "quoted" in problem:
        return _quoted(problem)
    if "flow" in context:
        kind, closing = ("mapping `{…}`", "}") if "mapping" in context else ("list `[…]`", "]")
        name = _BRACKETED.search(line)
        hint = f"add `,` or `{closing}`; a text that starts with a bracket or brace needs quotes"
        if name is not None:
            hint = f'in a list or mapping in brackets, a name with a bracket needs quotes: `"{name[0]}"`'
        return f"this {kind} is not closed here", hint
    if _STARTS_OPEN.search(line[:column]) and "expected" in problem:
        return "text that starts with a brace or bracket", f'{_QUOTE}: "{{text}} …"'
    if "did not find expected key" in problem or "<block end>" in problem:
        return (
            "this line does not fit what stands above it",
            f"check its indentation; {_QUOTE} if it starts with one",
        )
    if "could not find expected ':'" in problem or "could not find ':'" in problem:
        return "a key without `:`", "write `key: value`"
    where = f" {context}" if context else ""
    return f"this is not YAML: {problem}{where}", _QUOTE


def with_quotes(text: str) -> str:
    """YAML in one line with quotes around the names that have a bracket: ``["f1[spam]"]``."""
    return _BRACKETED.sub(r'"\g<0>"', text)


def _quoted(problem: str) -> tuple[str, str]:
    if "escape" in problem:
        return "unknown escape in double quotes", r"write `\\` for a backslash, or use single quotes"
    return "a quoted text that is not closed", "add the closing quote"

"""Syntax errors of YAML in words that say what to do, whichever parser found them."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tunesmith.recipe.finding import Finding, Spot

_QUOTE = "put the text in quotes"
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
        hint = f"add `,` or `{closing}`; a text that starts with a bracket or brace needs quotes"
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


def _quoted(problem: str) -> tuple[str, str]:
    if "escape" in problem:
        return "unknown escape in double quotes", r"write `\\` for a backslash, or use single quotes"
    return "a quoted text that is not closed", "add the closing quote"

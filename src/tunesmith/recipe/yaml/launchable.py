"""The two lines that make a recipe a Python program, so that ``accelerate launch recipe.yaml`` runs it.

YAML sees a first key and a last comment; Python sees one statement and a long string.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.recipe.finding import RecipeTrouble, to_error
from tunesmith.recipe.yaml.nodes import node_to_plain
from tunesmith.recipe.yaml.parse import parse

LAUNCH_KEY = 'if __name__ == "__main__"'
LAUNCH_LINE = f'{LAUNCH_KEY}: import tunesmith; tunesmith.main(__file__); r"""'
LAST_LINE = '# """'


def is_launchable(text: str) -> bool:
    """Whether both lines are there and Python takes the text for a program."""
    lines = _lines(text)
    return (
        bool(lines) and _launch_row(lines) is not None and lines[-1] == LAST_LINE and _compiles(text) is None
    )


def make_launchable(text: str, name: str = "the recipe") -> str:
    r"""Add the two lines; comments stay, and a recipe that has them already comes back as it is.

    Args:
        text: a recipe, as YAML.
        name: what messages call it.

    Raises:
        UserError: the text holds three double quotes, or a document marker, so that the lines cannot hold.
    """
    if is_launchable(text):
        return text
    lines = _lines(text)
    row = _launch_row(lines)
    head, body = (lines[:row], lines[row + 1 :]) if row is not None else ([], lines)
    body = body[:-1] if body and body[-1] == LAST_LINE else body
    _refuse(body, len(lines) - len(body), name)
    result = "\n".join([*head, LAUNCH_LINE, *body, LAST_LINE]) + "\n"
    problem = _compiles(result)
    if problem is not None:
        raise UserError(
            f"Python cannot read the result: {problem}", where=name, hint="mend the line it names"
        )
    _same_yaml("\n".join([*head, *body]) + "\n", result, name)
    return result


def _lines(text: str) -> list[str]:
    return re.split(r"\r?\n", text.rstrip())


def _launch_row(lines: list[str]) -> int | None:
    """The row of the launch line: the first that is neither empty nor a comment."""
    for row, line in enumerate(lines):
        if line.strip() and not line.lstrip().startswith("#"):
            return row if line == LAUNCH_LINE else None
    return None


def _refuse(body: list[str], offset: int, name: str) -> None:
    for number, line in enumerate(body, start=offset + 1):
        if '"""' in line:
            hint = "write that text with single quotes or as a block after `|`"
            raise UserError('`"""` would end the Python string around the recipe', f"{name}:{number}", hint)
        if line.startswith(("---", "%")):
            hint = "delete that line; one recipe is one document"
            raise UserError("a document marker cannot stand below the launch line", f"{name}:{number}", hint)


def _same_yaml(before: str, after: str, name: str) -> None:
    """Both texts must say the same, the launch key aside."""
    try:
        old = parse(before, name, Path())
    except RecipeTrouble as trouble:
        raise to_error(trouble.findings) from None
    try:
        new = parse(after, name, Path())
    except RecipeTrouble:
        new = None
    plain = node_to_plain(new) if new is not None else None
    if (
        not isinstance(plain, dict)
        or plain.pop(LAUNCH_KEY, None) is None
        or old is None
        or plain != node_to_plain(old)
    ):
        hint = "its sections must be keys that start at the left margin"
        raise UserError("the launch line does not fit above this recipe", name, hint)


def _compiles(text: str) -> str | None:
    """Why Python refuses the text; None if it does not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compile(text, "recipe", "exec")
    except (SyntaxError, ValueError, SyntaxWarning) as error:
        return f"{getattr(error, 'msg', error)} (line {getattr(error, 'lineno', '?')})"
    return None

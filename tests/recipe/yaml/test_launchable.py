from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.recipe.load import load_recipe
from tunesmith.recipe.yaml.launchable import LAST_LINE, LAUNCH_LINE, is_launchable, make_launchable


def test_a_launchable_recipe_is_a_program_and_the_same_recipe(write: Callable[..., Path], good: str):
    text = "# head\n" + good + "# tail\n"
    made = make_launchable(text)
    assert made == f"{LAUNCH_LINE}\n{text}{LAST_LINE}\n"
    compile(made, "r.yaml", "exec")
    assert is_launchable(made)
    assert not is_launchable(text)
    assert load_recipe(write(made)) == load_recipe(write(text))


def test_the_program_calls_main_when_run_and_nothing_when_imported(good: str):
    tree = ast.parse(make_launchable(good))
    (statement,) = tree.body
    assert isinstance(statement, ast.If)
    assert ast.unparse(statement.test) == "__name__ == '__main__'"
    assert ast.unparse(statement.body[1]) == "tunesmith.main(__file__)"


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text,
        lambda text: text.removesuffix(LAST_LINE + "\n"),
        lambda text: text.removeprefix(LAUNCH_LINE + "\n"),
        lambda text: "# a licence\n\n" + text,
        lambda text: text.replace("\n", "\r\n"),
    ],
    ids=["whole", "no last line", "no first line", "a comment above", "other line ends"],
)
def test_it_mends_what_is_missing_and_does_nothing_twice(good: str, damage: Callable[[str], str]):
    damaged = damage(make_launchable(good))
    mended = make_launchable(damaged)
    assert is_launchable(mended)
    assert mended.count(LAUNCH_LINE) == 1
    assert mended.count(LAST_LINE) == 1
    assert make_launchable(mended) == mended


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ('task: x\nprompt: \'say """\'\n', "r.yaml:2", '`"""` would end the Python string'),
        ("---\ntask: x\n", "r.yaml:1", "a document marker"),
        ("%YAML 1.2\n---\ntask: x\n", "r.yaml:1", "a document marker"),
        ("  task: x\n  run: {}\n", "r.yaml", "does not fit above"),
        ("- a\n", "r.yaml", ""),
        ("{task: x}\n", "r.yaml", ""),
    ],
)
def test_what_cannot_be_launched_is_refused_with_a_reason(text: str, where: str, what: str):
    with pytest.raises(UserError) as caught:
        make_launchable(text, "r.yaml")
    assert caught.value.where.startswith(where)
    assert what in caught.value.what


def test_backslashes_do_no_harm(good: str):
    made = make_launchable(good + "eval: {limit: 3} # \\N \\x \\\n")
    assert is_launchable(made)

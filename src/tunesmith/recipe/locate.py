"""Mistakes that were found beyond the recipe's text, put where the recipe names what they are about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.recipe.finding import Finding, RecipeTrouble
from tunesmith.recipe.overrides import apply_overrides
from tunesmith.recipe.read import read_tree
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.yaml.nodes import MapNode, key_spot, value_spot

_DOTTED = re.compile(r"[a-z_]+(\.[\w-]+)*")


def located(path: Path, overrides: Sequence[str], errors: Sequence[UserError]) -> list[UserError]:
    """The errors, those whose place is a key of the recipe with file, line and the line itself.

    Args:
        path: of the recipe, which can be read.
        overrides: ``key.path=value``.
        errors: with places such as ``data.train.0.text``, or files of the user's.
    """
    tree, _ = apply_overrides(read_tree(path), overrides)
    return [_located(one, tree) for one in _once(errors)]


@contextmanager
def pointing(path: Path, overrides: Sequence[str] = ()) -> Iterator[None]:
    """Put a mistake that is met inside where the recipe names what it is about.

    Args:
        path: of the recipe; what cannot be read any more leaves the mistake as it is.
        overrides: ``key.path=value``.
    """
    try:
        yield
    except UserError as error:
        try:
            found = located(path, overrides, [error])[0]
        except (RecipeTrouble, UserError, OSError):  # changed meanwhile
            raise error from error.__cause__
        raise found from error.__cause__


def together(errors: Sequence[UserError]) -> UserError:
    """Several mistakes as one message, in their order."""
    if len(errors) == 1:
        return errors[0]
    return UserError("\n\n".join([*map(str, errors), f"{len(errors)} mistakes"]))


def _once(errors: Sequence[UserError]) -> list[UserError]:
    return list({str(one): one for one in errors}.values())


def _located(error: UserError, tree: MapNode) -> UserError:
    steps = error.where.split(".")
    if not _DOTTED.fullmatch(error.where) or steps[0] not in Recipe.model_fields:
        return error
    keys = [int(step) if step.isdigit() else step for step in steps]
    find = key_spot if len(keys) <= 3 else value_spot
    named = error.where in error.what or error.where in error.hint
    what = error.what if named else f"`{error.where}`: {error.what}"
    found = Finding(what, find(tree, keys), error.hint).error()
    return replace(found, source=found.source or error.source)

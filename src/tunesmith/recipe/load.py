"""A recipe file and overrides to a ``Recipe``, or one message with everything that is wrong.

The order: YAML with positions, ``extends``, overrides, small kindnesses, the schema, rules across keys.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from tunesmith.recipe.check.coerce import fit
from tunesmith.recipe.check.recipe import MOST_VARIANTS, check
from tunesmith.recipe.check.schema_errors import explain_schema_errors
from tunesmith.recipe.check.secrets import secret_findings
from tunesmith.recipe.finding import Finding, Problem, RecipeTrouble, to_error
from tunesmith.recipe.overrides import apply_overrides, apply_variant
from tunesmith.recipe.paths import absolute_paths, source_findings
from tunesmith.recipe.read import read_tree
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.schema.run import Run
from tunesmith.recipe.yaml.nodes import MapNode, Node, dotted, get, key_spot, node_to_plain, value_spot

_MOST = 200
"""Findings collected before the search ends; a file with more is not a recipe."""


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read, complete and check a recipe, its variants included.

    Local paths become absolute: relative to the file in which they are written, or to the working
    directory if they come from an override. ``run.dir`` is filled in and stays as written.

    Args:
        path: the recipe file.
        overrides: ``key.path=value``, applied in order.

    Raises:
        UserError: every mistake found, each with file, line and the way out.
    """
    return _load(Path(path), overrides)[0]


def recipe_variants(path: Path, overrides: Sequence[str] = ()) -> list[tuple[str, Recipe]]:
    """The recipe's variants in order, each a recipe of its own; empty if there are none.

    A variant is the recipe, with the variant's changes merged in, with the overrides on top. Its
    ``run.dir`` is ``<run.dir>/<name>`` and it has no variants.

    Raises:
        UserError: as ``load_recipe``.
    """
    return _load(Path(path), overrides)[1]


def load_with_variants(path: Path, overrides: Sequence[str] = ()) -> tuple[Recipe, list[tuple[str, Recipe]]]:
    """What ``load_recipe`` and ``recipe_variants`` give, read once.

    Raises:
        UserError: as ``load_recipe``.
    """
    return _load(Path(path), overrides)


def _load(path: Path, overrides: Sequence[str]) -> tuple[Recipe, list[tuple[str, Recipe]]]:
    try:
        tree, findings = apply_overrides(read_tree(path), overrides)
    except RecipeTrouble as trouble:
        raise to_error(trouble.findings) from None
    recipe, more = _build(tree)
    findings += more
    named: list[tuple[str, Recipe]] = []
    for name, changes in _changes(tree):
        variant, more = _build_variant(tree, changes, overrides)
        known = {(finding.what, finding.spot) for finding in findings}
        new = [one for one in more if (one.what, one.spot) not in known]
        findings += [replace(one, what=f"variant `{name}`: {one.what}") for one in new]
        named += [(name, variant)] if variant is not None else []
    if recipe is None or findings:
        raise to_error(islice(findings, _MOST))
    # A file called `...yaml` would otherwise run in the folder above.
    recipe = _with_dir(recipe, recipe.run.dir or f"runs/{path.stem.strip('.') or 'recipe'}")
    assert recipe.run.dir is not None
    return recipe, [(name, _with_dir(one, f"{recipe.run.dir}/{name}")) for name, one in named]


def _changes(tree: MapNode) -> list[tuple[str, MapNode]]:
    node = get(tree, ("run", "variants"))
    entries = node.entries.items() if isinstance(node, MapNode) else ()
    return [(name, entry.node) for name, entry in entries if isinstance(entry.node, MapNode)][:MOST_VARIANTS]


def _build_variant(
    tree: MapNode, changes: MapNode, overrides: Sequence[str]
) -> tuple[Recipe | None, list[Finding]]:
    above = [one for one in overrides if not one.startswith(("run.variants", "run.dir="))]
    try:
        changed, findings = apply_overrides(apply_variant(tree, changes), above)
    except RecipeTrouble as trouble:
        return None, trouble.findings
    variant, more = _build(_without_variants(changed))
    return variant, [*findings, *more]


def _without_variants(tree: MapNode) -> MapNode:
    run = tree.entries["run"]
    if not isinstance(run.node, MapNode):
        return tree
    return tree.with_entry("run", replace(run, node=run.node.with_entry("variants", None)))


def _with_dir(recipe: Recipe, folder: str) -> Recipe:
    run: Run = recipe.run.model_copy(update={"dir": os.path.expanduser(folder)})
    return recipe.model_copy(update={"run": run})


def _build(tree: MapNode) -> tuple[Recipe | None, list[Finding]]:
    """One tree to a recipe, and everything that is wrong with it."""
    fitted = absolute_paths(fit(Recipe, tree))
    findings = [*secret_findings(fitted), *source_findings(fitted)]
    try:
        recipe = Recipe.model_validate(node_to_plain(fitted))
    except ValidationError as error:
        explained = list(islice(explain_schema_errors(Recipe, fitted), _MOST))
        return None, [*findings, *(explained or _raw(error, fitted))]
    return recipe, [*findings, *(_located(problem, fitted) for problem in check(recipe))]


def _located(problem: Problem, tree: Node) -> Finding:
    find = key_spot if problem.at == "key" else value_spot
    return Finding(problem.what, find(tree, problem.path), problem.hint)


def _raw(error: ValidationError, tree: Node) -> Iterator[Finding]:
    """The validator's own words, for a mistake that the walk over the schema did not explain."""
    for one in error.errors(include_url=False, include_context=False):
        yield Finding(f"`{dotted(one['loc'])}`: {one['msg']}", key_spot(tree, one["loc"]))

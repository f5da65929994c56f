"""A task of the user's own: its file is imported, and the recipe checked against what it declares."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from tunesmith.errors import UserError
from tunesmith.metrics.names import USER_PREFIX
from tunesmith.recipe.check.recipe import check
from tunesmith.recipe.check.schema_errors import explain_schema_errors
from tunesmith.recipe.dump import scalar_text
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.fields import subject_of
from tunesmith.recipe.tasks.own import own_parts
from tunesmith.recipe.tasks.spec import FieldKind, TaskSettings, TaskSpec
from tunesmith.recipe.yaml.parse import parse
from tunesmith.sources.own_code import on_path, own_file, own_module
from tunesmith.suggest import did_you_mean
from tunesmith.tasks.task import Task, offers

PAGE = "see docs/adding-a-task.md"


def with_own_task(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with the settings of its task as that task types them; others stay as they are.

    Args:
        recipe: resolved.
        folder: of its file, in which the task's file lies.

    Raises:
        UserError: there is no such file or class, it raises, or the recipe does not fit what it declares.
    """
    name = recipe.task.name
    if not name.startswith(USER_PREFIX):
        return recipe
    spec = _declared(name, folder)
    made = recipe.model_copy(update={"task": _settings(recipe, spec)})
    problems = check(made)
    if problems:
        place = ".".join(map(str, problems[0].path))
        raise UserError(problems[0].what, place, problems[0].hint)
    return made


def _settings(recipe: Recipe, spec: TaskSpec) -> TaskSettings:
    """The task's section as the task types it; what does not fit is told as for every other section."""
    given = recipe.task.model_dump()
    try:
        return spec.settings.model_validate(given)
    except ValidationError as error:
        node = parse(scalar_text(given), "", Path())
        assert node is not None
        found = next(explain_schema_errors(spec.settings, node, ("task",)), None)
        if found is None:  # a validator of the class's own
            raise UserError(f"`task`: {error.errors(include_url=False)[0]['msg']}", "task") from None
        raise UserError(found.what, found.key, found.hint) from None


def _declared(name: str, folder: Path) -> TaskSpec:
    """What the class declares, its file imported."""
    module_name, attribute = own_parts(name)
    if own_file(module_name, folder) is None:
        hint = did_you_mean(module_name, [path.stem for path in folder.glob("*.py")], "files there")
        raise UserError(f"`{name}` names no file in the recipe's folder, {folder}", "task", hint)
    with on_path(folder):
        module = own_module(module_name, name, folder, "task", f"mend that code; {PAGE}")
    found = getattr(module, attribute, None)
    if not (isinstance(found, type) and issubclass(found, Task)):
        own = [key for key, one in vars(module).items() if isinstance(one, type) and issubclass(one, Task)]
        state = "has no" if found is None else "has something else than a `Task` called"
        hint = did_you_mean(attribute, [key for key in own if key != "Task"], "tasks there")
        raise UserError(f"`{module.__file__}` {state} `{attribute}`", "task", hint or PAGE)
    spec = getattr(found, "spec", None)
    if not isinstance(spec, TaskSpec):
        raise UserError(f"`{attribute}` declares nothing", "task", f"give it `spec = TaskSpec(…)`; {PAGE}")
    if spec.couples != offers(found, "coupled_loss"):
        gives = "does not give" if spec.couples else "gives"
        raise UserError(
            f"`{attribute}` {gives} `coupled_loss`, and declares `couples={spec.couples}`",
            "task",
            f"a loss over the whole batch takes both; {PAGE}",
        )
    _refuse_fields(attribute, spec)
    entry = str(folder.absolute())
    if entry not in sys.path:
        sys.path.append(entry)  # processes that collate ahead import the file too
    return spec


def _refuse_fields(name: str, spec: TaskSpec) -> None:
    """A declaration of fields that no row could have."""
    schema, known = spec.row_schema, get_args(FieldKind)
    names = [one.name for one in schema.fields]
    twice = next((one for one in names if names.count(one) > 1), None)
    if twice is not None:
        raise UserError(f"`{name}` declares two fields `{twice}`", "task", "give each a name of its own")
    if not spec.inputs:
        raise UserError(
            f"`{name}` declares no input", "task", f"give its `spec` `inputs=(Field(…),)`; {PAGE}"
        )
    for one in schema.fields:
        if one.kind not in known:
            what = f"`{name}` declares the field `{one.name}` of kind `{one.kind}`, which there is not"
            raise UserError(what, "task", did_you_mean(one.kind, known, "kinds"))
        subject = subject_of(one, schema)
        if (one.of and one.of not in names) or (one.kind == "spans" and not subject):
            raise UserError(
                f"`{name}` declares `{one.name}` about the field `{one.of or 'text'}`, which there is not",
                "task",
                "name one of its fields in `of`",
            )

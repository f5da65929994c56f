"""``tunesmith tasks``, and the settings of one: what can be learnt, of what rows, measured how."""

from __future__ import annotations

from typing import Any

from tunesmith.errors import UserError
from tunesmith.recipe.tasks.fields import CHAT_SHAPES, is_conversation
from tunesmith.recipe.tasks.spec import Field, RowSchema, TaskSpec
from tunesmith.recipe.tasks.table import TASKS
from tunesmith.suggest import did_you_mean


def tasks_text() -> str:
    """Every task in a few lines: what it is, what its rows have, its metrics, the recipe to start from."""
    return "\n\n".join([*map(_one, TASKS.values()), "or a class of your own: see docs/adding-a-task.md"])


def task_schema(name: str) -> dict[str, Any]:
    """JSON schema of what may stand under `task` for one task.

    Raises:
        UserError: there is no such task.
    """
    if name not in TASKS:
        raise UserError(f"there is no task `{name}`", hint=did_you_mean(name, list(TASKS), "tasks"))
    return TASKS[name].settings.model_json_schema()


def _one(task: TaskSpec) -> str:
    settings = [name for name in task.settings.model_fields if name != "name"]
    lines = [
        f"{task.name}: {task.summary}",
        f"  rows      {', or '.join(' and '.join(map(_field, way)) for way in _ways(task.row_schema))}",
        f"  metrics   {', '.join(task.metrics)}",
        *([f"  settings  {', '.join(settings)}"] if settings else []),
        f"  start     tunesmith init {task.starter}",
    ]
    return "\n".join(lines)


def _ways(schema: RowSchema) -> list[tuple[Field, ...]]:
    return [schema.fields, *(_ways(schema.otherwise) if schema.otherwise is not None else ())]


def _field(field: Field) -> str:
    if is_conversation(field):
        return "a conversation: " + ", or ".join(", ".join(shape) for shape in CHAT_SHAPES)
    kind = "" if field.kind in ("text", field.name) else field.kind
    said = [field.meaning or kind, "optional" if field.optional else ""]
    about = ", ".join(filter(None, said))
    return f"{field.name} ({about})" if about else field.name

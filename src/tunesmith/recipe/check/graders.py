"""Whether what looks at generated text has been told what to look for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tunesmith.metrics.json_schema import troubles
from tunesmith.recipe.check.metric_names import asked_metrics, set_metrics
from tunesmith.recipe.finding import Problem
from tunesmith.recipe.schema.eval import Code, Judge
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.table import tasks_with
from tunesmith.suggest import shorten

_NEEDED = {
    "regex": "the pattern that an answer must match from end to end, e.g. `'[A-Z]{3}'`",
    "judge": "the model that scores: `{url: http://127.0.0.1:8000/v1, model: NAME}`",
    "json_schema": "the schema, e.g. `{type: object, required: [name]}`",
}


def check_graded(recipe: Recipe) -> Iterator[Problem]:
    """Yield settings that a metric needs and lacks, that no metric uses, or that say nothing."""
    section = recipe.eval
    asked = {*asked_metrics(recipe), *(m for name in section.sets for m in set_metrics(recipe, name))}
    for name, wanted in _NEEDED.items():
        given = getattr(section, name) is not None
        if name in asked and not given:
            yield Problem(
                ("eval",), f"metric `{name}` needs `eval.{name}`", f"add `{name}:`, {wanted}", "key"
            )
        elif given and name not in asked:
            yield _unused(name)
    if section.code != Code() and "code" not in asked:
        yield _unused("code")
    if section.judge is not None:
        yield from _judge(section.judge)
    if section.regex is not None:
        try:
            re.compile(section.regex)
        except (re.error, OverflowError, RecursionError) as error:
            what = f"`eval.regex` is not a regular expression: {error}"
            hint = r"put a backslash before a character that stands for itself: `\(`"
            yield Problem(("eval", "regex"), what, hint)
    for trouble in list(troubles(section.json_schema))[:1] if section.json_schema is not None else ():
        hint = "it is refused, since a keyword that is passed over would call wrong answers right"
        yield Problem(("eval", "json_schema"), f"`eval.json_schema`: {shorten(trouble)}", hint, "key")
    if section.harness and (others := tasks_with("harness", recipe.task)):
        what = f"`eval.harness` is for task {others}, not `{recipe.task.name}`"
        yield Problem(("eval", "harness"), what, "take it away", "key")
    if section.positions and (others := tasks_with("positions", recipe.task)):
        what = f"`eval.positions` is for task {others}; `{recipe.task.name}` has no positions"
        yield Problem(("eval", "positions"), what, "take it away", "key")
    if section.positions and "position" in section.columns:
        what = "`eval.positions` and a slice by the column `position` would share their names"
        yield Problem(("eval", "positions"), what, "rename the column, or take one of the two away", "key")


def _judge(judge: Judge) -> Iterator[Problem]:
    path = ("eval", "judge")
    if not re.fullmatch(r"https?://[^\s/]+(?:/\S*)?", judge.url):
        what = f"`{shorten(judge.url)}` is not the address of an endpoint"
        yield Problem((*path, "url"), what, "write e.g. `http://127.0.0.1:8000/v1`")
    fields = re.findall(r"\{(\w*)\}", judge.prompt)
    strange = [name for name in fields if name not in ("question", "answer", "reference")]
    if strange:
        what = f"`eval.judge.prompt` has a field `{{{shorten(strange[0])}}}`, which nothing fills"
        yield Problem((*path, "prompt"), what, "the fields are {question}, {answer} and {reference}")
    elif "answer" not in fields:
        what = "`eval.judge.prompt` does not show the answer"
        yield Problem((*path, "prompt"), what, "put {answer} where the answer shall stand")
    if judge.scale[0] >= judge.scale[1]:
        what = f"`eval.judge.scale` goes from {judge.scale[0]:g} to {judge.scale[1]:g}"
        yield Problem((*path, "scale"), what, "the worst score comes first, and is the smaller one", "key")


def _unused(name: str) -> Problem:
    what = f"`eval.{name}` is there, and no metric uses it"
    return Problem(("eval", name), what, f"add `{name}` to `eval.metrics`, or take it away", "key")

"""Functions and files stay short enough to be read whole."""

from __future__ import annotations

import ast
import statistics

FILE_LINES = 300
FUNCTION_LINES = 60
MEDIAN_FUNCTION_LINES = 12
# The one function that tells a whole story from top to bottom.
LONGER = {("train/loop.py", "train"): 300}
# The grammar is one table of everything that can be said; in two files it would be found in neither.
LARGER = {"recipe/schema/recipe.py": 440}


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the end, less the docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def table(title: str, sizes: list[tuple[int, str]]) -> str:
    median = statistics.median(lines for lines, _ in sizes)
    largest = [f"  {lines:4} {name}" for lines, name in sorted(sizes, reverse=True)[:8]]
    return "\n".join([f"{len(sizes)} {title}, median {median:g} lines", *largest])


def texture(modules) -> str:
    files = [(module.text.count("\n"), str(module.path)) for module in modules]
    functions = [(lines_of(f), f"{m.path}:{f.lineno} {f.name}") for m in modules for f in m.functions()]
    return f"{table('files', files)}\n{table('functions', functions)}"


def test_files_are_short(modules) -> None:
    long = [
        str(module.path)
        for module in modules
        if module.text.count("\n") > LARGER.get("/".join(module.path.parts[2:]), FILE_LINES)
    ]
    assert not long, f"over {FILE_LINES} lines: {long}\n{texture(modules)}"


def test_functions_are_short(modules) -> None:
    long = []
    for module in modules:
        for function in module.functions():
            where = ("/".join(module.path.parts[2:]), function.name)
            if lines_of(function) > LONGER.get(where, FUNCTION_LINES):
                long.append(f"{module.path}:{function.lineno} {function.name}: {lines_of(function)} lines")
    assert not long, "\n".join([*long, texture(modules)])


def test_the_median_function_is_shorter_still(modules) -> None:
    median = statistics.median(lines_of(function) for module in modules for function in module.functions())
    assert median <= MEDIAN_FUNCTION_LINES, texture(modules)


def test_no_file_is_named_after_nothing(modules) -> None:
    vague = {"utils", "util", "helpers", "helper", "misc", "common", "base", "core"}
    vague |= {"aside", "before", "beside", "back", "here", "alone", "after", "look", "words"}
    assert [str(module.path) for module in modules if module.path.stem in vague] == []

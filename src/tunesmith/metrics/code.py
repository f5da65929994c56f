"""Whether a program that a model wrote does what it should, found out by running it."""

from __future__ import annotations

import ast
import json
import re
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tunesmith.metrics.sandbox import Limits, run_all, run_files
from tunesmith.metrics.sandboxed import code_tests

_FENCED = re.compile(r"```[ \t]*+(?:python|py)?+[ \t]*+\n(.*?)(?:\n```|\Z)", re.DOTALL | re.IGNORECASE)


def program_of(answer: str) -> str:
    """The code in an answer: what stands in its first fence, or all of it."""
    fenced = _FENCED.search(answer)
    return fenced[1] if fenced is not None else answer


def passes(answers: Sequence[str], tests: Sequence[str], limits: Limits, workers: int) -> list[float]:
    """1 for each answer after which its tests run to their end, else 0.

    The tests are handed over when the answer has run, and what it names is not used to run them. An answer
    whose tests also pass where everything that it made was taken away has not been tested, and does not pass.
    """
    with ThreadPoolExecutor(max(1, workers)) as pool:
        return list(pool.map(lambda answer, test: float(_passes(answer, test, limits)), answers, tests))


def _passes(answer: str, test: str, limits: Limits) -> bool:
    program, test = program_of(answer), _comparing(test)
    if not _run_tests(program, test, limits, stub=False):
        return False
    # Tests that pass without any answer say nothing of this one either.
    return not _run_tests(program, test, limits, stub=True) or _run_tests("", test, limits, stub=True)


def _run_tests(program: str, test: str, limits: Limits, *, stub: bool) -> bool:
    sign = secrets.token_hex(16)
    asked = json.dumps({"tests": test, "stub": stub, "sign": sign}).encode()
    files = {"program.py": program, "run.py": Path(code_tests.__file__).read_text(encoding="utf-8")}
    ran = run_files(files, ["run.py"], limits, asked)
    return ran.ended_well and ran.reply == sign.encode()


class _Comparing(ast.NodeTransformer):
    """``assert a == b`` made to fail where ``a`` is equal to everything."""

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        """The statement, its comparison by a function."""
        test = node.test
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
            name = ast.Name("__tunesmith_equal__", ast.Load())
            node.test = ast.Call(name, [test.left, test.comparators[0]], [])
        return node


def _comparing(test: str) -> str:
    try:
        return ast.unparse(ast.fix_missing_locations(_Comparing().visit(ast.parse(test))))
    except (SyntaxError, ValueError, RecursionError):
        return test  # it will say so itself


def same_output(
    answers: Sequence[str], references: Sequence[str], limits: Limits, workers: int
) -> list[float]:
    """1 for each answer that ends well and writes what the reference writes, outer blanks aside, else 0."""
    known = dict.fromkeys(program_of(one) for one in (*answers, *references))
    ran = dict(zip(known, run_all(list(known), limits, workers), strict=True))
    pairs = [(ran[program_of(a)], ran[program_of(b)]) for a, b in zip(answers, references, strict=True)]
    return [
        float(ours.ended_well and theirs.ended_well and ours.output.strip() == theirs.output.strip())
        for ours, theirs in pairs
    ]

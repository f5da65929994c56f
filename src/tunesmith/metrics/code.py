"""Whether a program that a model wrote does what it should, found out by running it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

from tunesmith.metrics.sandbox import Limits, run_all

_FENCED = re.compile(r"```[ \t]*+(?:python|py)?+[ \t]*+\n(.*?)(?:\n```|\Z)", re.DOTALL | re.IGNORECASE)


def program_of(answer: str) -> str:
    """The code in an answer: what stands in its first fence, or all of it."""
    fenced = _FENCED.search(answer)
    return fenced[1] if fenced is not None else answer


def passes(answers: Sequence[str], tests: Sequence[str], limits: Limits, workers: int) -> list[float]:
    """1 for each answer after which its tests run to their end, else 0.

    A sign drawn by lot is printed after the tests, so that an answer that leaves early does not pass.
    """
    signs = [secrets.token_hex(16) for _ in answers]
    programs = [
        f"{program_of(answer)}\n\n{test}\n\nprint('\\n{sign}')\n"
        for answer, test, sign in zip(answers, tests, signs, strict=True)
    ]
    ran = run_all(programs, limits, workers)
    return [
        float(one.ended_well and one.output.rstrip().endswith(sign))
        for one, sign in zip(ran, signs, strict=True)
    ]


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

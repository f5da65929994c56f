"""Answers scored by another model, each pair of prompt and answer once in the life of a run."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from urllib.parse import urlsplit

from tunesmith.checkpoint.journal import append_record, read_journal
from tunesmith.errors import UserError
from tunesmith.recipe.schema.eval import Judge
from tunesmith.tasks.task import Scored
from tunesmith.train.evaluate.chat_client import Endpoint, NoAnswer, complete

FILE = "judge.jsonl"
"""In the run directory: what was asked (its hash), what came back, and the score."""
_FIELD = re.compile(r"\{(question|answer|reference)\}")
_SCORE = re.compile(r"score[^\w-]{0,6}(-?\d++(?:\.\d++)?)", re.IGNORECASE)
_ALONE = re.compile(r"\s*+(-?\d++(?:\.\d++)?)\s*+\.?\s*+")
LOOK = 0.2
"""Seconds between two looks whether to leave."""
_Found = tuple[str, float] | NoAnswer
_ENOUGH = 3
"""Answers in a row that could not be had, after which an evaluation asks for no more."""


def endpoint_of(section: Judge) -> Endpoint:
    """Where the judge answers."""
    return Endpoint(
        url=section.url,
        model=section.model,
        key_env=section.key_env,
        timeout=section.timeout,
        retries=section.retries,
    )


def prompt_of(section: Judge, one: Scored) -> str:
    """The question to the judge; what stands in an answer is not looked at for fields again."""
    words = {"question": one.input, "answer": str(one.prediction), "reference": str(one.reference)}
    return _FIELD.sub(lambda found: words[found[1]], section.prompt)


def score_of(reply: str, scale: tuple[float, float]) -> float:
    """The last ``Score: N`` of a reply, or the number that it consists of, as a share of the scale.

    Raises:
        NoAnswer: if there is none, or it is off the scale.
    """
    alone, found = _ALONE.fullmatch(reply), _SCORE.findall(reply)
    if alone is None and not found:
        raise NoAnswer(f"no `Score: N` in the reply: {reply[:120]!r}")
    value, (low, high) = float(alone[1] if alone is not None else found[-1]), scale
    if not low <= value <= high:
        raise NoAnswer(f"score {value:g} is not from {low:g} to {high:g}")
    return (value - low) / (high - low)


def probe(section: Judge) -> None:
    """Ask once, before anything is trained.

    Raises:
        UserError: if the judge cannot be used.
    """
    if section.key_env is not None and not os.environ.get(section.key_env):
        raise UserError(
            f"the environment has no `{section.key_env}`, which the judge needs",
            "eval.judge.key_env",
            f"export {section.key_env}=… where the run is started",
        )
    if section.key_env is not None:
        print(_about_key(section), flush=True)
    sample = Scored("probe", 0.0, 1, 1, "4", "4", "What is 2 + 2?")
    try:
        score_of(complete(endpoint_of(section), prompt_of(section, sample)), section.scale)
    except NoAnswer as problem:
        raise UserError(
            f"the judge at {section.url} cannot be used: {problem}",
            "eval.judge",
            "it must answer POST /chat/completions as OpenAI's does, with `Score: N` in its text; "
            "see that it runs, and `url`, `model`, `prompt` and `scale`",
        ) from problem


def _about_key(section: Judge) -> str:
    """What leaves this machine, said before it does: a recipe may name any variable and any address."""
    parts = urlsplit(section.url)
    secretly = "" if parts.scheme == "https" else ", unencrypted"
    return (
        f"the judge at {parts.scheme}://{parts.netloc.rpartition('@')[2]} is sent what stands in "
        f"`{section.key_env}` as its key{secretly}, and questions with answers"
    )


def judge_answers(
    section: Judge, run_dir: Path, scored: Sequence[Scored], look: Callable[[], None] = lambda: None
) -> list[float]:
    """Each example's score from 0 to 1, not a number where the judge gave none.

    Args:
        section: the recipe's.
        run_dir: where replies are kept.
        scored: the examples with their answers.
        look: called again and again meanwhile; it may raise to leave, and what has come back is kept.

    Raises:
        UserError: if it gave none, and ``on_failure`` is ``error``.
    """
    path, prompts = run_dir / FILE, [prompt_of(section, one) for one in scored]
    known = {str(one["asked"]): float(one["score"]) for one in read_journal(path)}
    keys = [_key(section, prompt) for prompt in prompts]
    asked = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in known}
    trouble = _ask_all(section, path, asked, known, look)
    values = [known.get(key, math.nan) for key in keys]
    if trouble is not None:
        missing = sum(map(math.isnan, values))
        what = f"the judge scored {len(values) - missing} of {len(values)} answers: {trouble}"
        if section.on_failure == "error":
            hint = "see that it runs, and start the run again: it asks only for what is missing"
            raise UserError(what, "eval.judge", hint)
        print(f"{what}; metric `judge` is unknown", flush=True)
    return values


def _ask_all(
    section: Judge, path: Path, asked: dict[str, str], known: dict[str, float], look: Callable[[], None]
) -> NoAnswer | None:
    """Ask, several at a time; what comes back is written down at once. Gives the first trouble, if any."""
    endpoint, counting, leaving = endpoint_of(section), threading.Lock(), threading.Event()
    in_a_row, first = 0, None

    def one(prompt: str) -> _Found:
        nonlocal in_a_row
        if in_a_row >= _ENOUGH or leaving.is_set():
            return NoAnswer("not asked")
        found: _Found
        try:
            reply = complete(endpoint, prompt, given_up=leaving.is_set)
            found = reply, score_of(reply, section.scale)
        except NoAnswer as problem:
            found = problem
        with counting:
            in_a_row = in_a_row + 1 if isinstance(found, NoAnswer) else 0
        return found

    with ThreadPoolExecutor(section.concurrency) as pool:
        try:
            for key, found in _in_order(
                {key: pool.submit(one, prompt) for key, prompt in asked.items()}, look
            ):
                if isinstance(found, NoAnswer):
                    first = first or found
                    continue
                reply, known[key] = found
                append_record(path, {"asked": key, "score": known[key], "reply": reply[:2000]})
        finally:
            leaving.set()
    return first


def _in_order(asked: dict[str, Future[_Found]], look: Callable[[], None]) -> Iterator[tuple[str, _Found]]:
    for key, future in asked.items():
        while not future.done():
            look()
            wait([future], LOOK)
        yield key, future.result()


def _key(section: Judge, prompt: str) -> str:
    asked = json.dumps([section.url, section.model, section.scale, prompt])
    return hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()

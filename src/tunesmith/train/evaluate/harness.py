"""Tasks of lm-evaluation-harness as a part of an evaluation: ``harness/TASK/METRIC``.

Its package is an extra (``pip install 'tunesmith[harness]'``). A task is a file of that package or one of
yours; such a file can name Python functions beside it, which then run here, so that it is code.
"""

from __future__ import annotations

import contextlib
import io
import logging
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from tunesmith.errors import UserError
from tunesmith.judge.statistics.intervals import Interval
from tunesmith.recipe.schema.eval import Eval
from tunesmith.train.engine.learner import Learner
from tunesmith.train.engine.process import on_main

Found = tuple[dict[str, float], dict[str, Interval]]
_Z = 1.959964
_BOOTSTRAP = 1000
_OWN_NAME = re.compile(r"^task:[ \t]*['\"]?([^\s'\"#]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Harness:
    """Loaded tasks, as the package wants them."""

    loaded: Mapping[str, Any]
    batch_size: int
    limit: int | None


def load_harness(section: Eval) -> Harness:
    """Load the tasks that a recipe names, with their data.

    Raises:
        UserError: if the package, a task or its data is not here.
    """
    if find_spec("lm_eval") is None:
        raise UserError(
            "`eval.harness` needs the package `lm_eval`, which is not installed",
            "eval.harness",
            "pip install 'tunesmith[harness]', or take `eval.harness` away",
        )
    from lm_eval.tasks import TaskManager

    files = [Path(name) for name in section.harness if _is_file(name)]
    names = [_name_in(Path(name)) if _is_file(name) else name for name in section.harness]
    with _quiet():
        folders = sorted({str(file.parent) for file in files})
        tasks = TaskManager(include_path=folders or None, include_defaults=len(files) < len(names))
        _refuse_unknown(names, tasks.all_tasks)
        try:
            loaded: dict[str, Any] = tasks.load(names)
        except Exception as problem:  # data that is not here, a hub that is not reachable, a broken file
            raise UserError(
                f"a task of lm-evaluation-harness cannot be loaded: {type(problem).__name__}: {problem}",
                "eval.harness",
                "its data must be on this machine, in the cache of `datasets`, or reachable",
            ) from problem
    for task in loaded["tasks"].values():
        if task.get_config("num_fewshot") is None:
            task.set_config(key="num_fewshot", value=0)
        task.set_fewshot_seed(seed=1234)
    return Harness(loaded, section.batch_size, section.limit)


def with_harness(accelerator: Accelerator, harness: Harness | None, learner: Learner) -> Found:
    """What a model reaches in the tasks of the harness; the first process, which has it, measures for all.

    Where that fails nothing is measured, which one line says and rules call *unknown*.
    """
    return on_main(accelerator, lambda: _measured(harness, learner))


def _measured(harness: Harness | None, learner: Learner) -> Found:
    assert harness is not None
    tokenizer = getattr(learner.task, "tokenizer", None)
    modes = {module: module.training for module in learner.model.modules()}
    learner.model.eval()
    try:
        with _quiet(), _same_chance(), torch.no_grad():
            return run_harness(harness, learner.model, tokenizer, learner.autocast)
    except Exception as problem:  # the package, its metrics and its tasks raise all kinds
        print(f"lm-evaluation-harness measured nothing: {type(problem).__name__}: {problem}", flush=True)
        return {}, {}
    finally:
        for module, training in modes.items():
            module.training = training


def run_harness(harness: Harness, model: Any, tokenizer: Any, autocast: torch.dtype | None) -> Found:
    """Values of all tasks, and their 95 % intervals from the standard errors that the package gives."""
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM

    wrapped = HFLM(
        pretrained=model,
        tokenizer=tokenizer,
        backend="causal",
        batch_size=harness.batch_size,
        device=str(model.device),
        mixed_precision_dtype=autocast,
    )
    results = evaluate(
        lm=wrapped,
        task_dict=harness.loaded,
        limit=harness.limit,
        bootstrap_iters=_BOOTSTRAP,
        log_samples=False,
        verbosity="ERROR",
    )
    return harness_values(results["results"])


def harness_values(results: Mapping[str, Mapping[str, Any]]) -> Found:
    """The package's results by our names; ``exact_match,strict`` becomes ``exact_match.strict``."""
    values: dict[str, float] = {}
    intervals: dict[str, Interval] = {}
    for task, found in results.items():
        for key, value in found.items():
            metric, comma, variant = key.partition(",")
            if not comma or metric.endswith("_stderr") or not isinstance(value, int | float):
                continue
            name = f"harness/{task}/{metric}" + ("" if variant == "none" else f".{variant}")
            values[name] = float(value)
            error = found.get(f"{metric}_stderr,{variant}")
            if isinstance(error, int | float) and np.isfinite(error):
                intervals[name] = (values[name] - _Z * error, values[name] + _Z * error)
    return values, intervals


def _refuse_unknown(names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=3)
            hint = (
                f"did you mean {' or '.join(f'`{one}`' for one in near)}?"
                if near
                else "see `lm_eval ls tasks`"
            )
            raise UserError(f"lm-evaluation-harness has no task `{name}`", "eval.harness", hint)


def _is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _name_in(path: Path) -> str:
    found = _OWN_NAME.search(path.read_text(encoding="utf-8"))
    if found is None:
        raise UserError("the file of a task names none: it has no `task:`", str(path), "add `task: NAME`")
    return found[1]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        yield


@contextlib.contextmanager
def _same_chance() -> Iterator[None]:
    """Training draws the same numbers, whatever is drawn in between."""
    ours, theirs = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        yield
    random.setstate(ours)
    np.random.set_state(theirs)

"""After the last step: which weights the finished model gets, and what they reach where no rule looked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from tunesmith.checkpoint.journal import append_record, read_journal
from tunesmith.judge.measurement import Measurement
from tunesmith.judge.selection.best import primary_metric, within_guards
from tunesmith.judge.selection.delivered import Delivered
from tunesmith.judge.statistics.example_scores import Scores
from tunesmith.judge.statistics.paired import Paired, p_better, paired_test
from tunesmith.metrics.names import split_name
from tunesmith.prepare.base_model import read_object
from tunesmith.recipe.check.metric_names import asked_metrics
from tunesmith.recipe.schema.stop import leaves
from tunesmith.report.score_files import read_scores, write_scores
from tunesmith.tasks.task import Scored
from tunesmith.train.deliver.verify_export import Proof
from tunesmith.train.engine.averaging import soup
from tunesmith.train.engine.learner import Learner
from tunesmith.train.engine.process import from_main
from tunesmith.train.evaluate.evaluation import evaluate, score_with
from tunesmith.train.evaluate.evaluator import Evaluator
from tunesmith.train.evaluate.example_scores import scores_of_metric, whole_set_metric
from tunesmith.train.evaluate.score import Evaluation, summarise_scores
from tunesmith.train.log import SCORES_OF, Log
from tunesmith.train.resume.checkpointer import Checkpointer
from tunesmith.train.resume.restore import restore_best
from tunesmith.train.resume.state import State

CHANCE = 0.05
"""Of taking an average that is no better, over all that are tried."""
TEST_BASELINE, TEST_SCORES = "baseline_test_scores.jsonl", "test_scores.jsonl"
TEST_TOLD = "test_told.jsonl"
"""A line for each end of the run at which the test split's scores were told."""
Values = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class AverageTrial:
    """An average that was tried.

    Attributes:
        name: ``ema``, or ``soup of 4``.
        measurement: on the whole evaluation set.
        pair: against the best measured weights, by the metric that chooses; ``None`` if it has no errors.
        used: whether the finished model has these weights.
    """

    name: str
    measurement: Measurement
    pair: Paired | None
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalWeights:
    """What the finished model is made of.

    Attributes:
        best: the best measured weights on the whole evaluation set; ``None`` if nothing was measured.
        tried: averages.
        test: of the weights used, on the test split; ``None`` if there is none.
        test_baseline: the same before the first step.
        test_paired: gains on the test split over the baseline.
        test_before: steps at which the run had ended before, and told what it scored there.
        proof: of the written folder, opened again; ``None`` before it is written.
    """

    best: Measurement | None = None
    tried: tuple[AverageTrial, ...] = ()
    test: Measurement | None = None
    test_baseline: Mapping[str, float] = field(default_factory=dict)
    test_paired: tuple[Paired, ...] = ()
    test_before: tuple[int, ...] = ()
    proof: Proof | None = None

    @property
    def delivered(self) -> Delivered | None:
        """The weights that the finished model has; ``None`` if nothing was measured."""
        used = next((one for one in self.tried if one.used), None)
        if used is not None:
            return Delivered(measurement=used.measurement, average=used.name)
        return None if self.best is None else Delivered(measurement=self.best)


def select_weights(evaluator: Evaluator, checkpointer: Checkpointer, state: State, log: Log) -> FinalWeights:
    """Put the weights into the model that it shall be finished with, and measure them.

    The best measured ones, unless an average is better on the same examples by a paired test. If they were
    measured on a part of the evaluation set, they are measured on all of it first.
    """
    accelerator, run_dir = checkpointer.process.accelerator, checkpointer.run_dir
    identity, rules = checkpointer.recipe_hash, evaluator.recipe.stop
    before = from_main(accelerator, test_scored_steps(run_dir, identity, state.progress.step))
    best = next((one for one in state.history if one.step == state.best_step), None)
    if best is None:
        return FinalWeights(test=_test(evaluator, run_dir, state, log), test_before=before)

    def put_best() -> None:
        if state.best_step is not None:
            restore_best(checkpointer, state.best_step)

    if best.step != state.progress.step:
        put_best()
    tried = bool(evaluator.recipe.run.average)
    scores = _known_scores(evaluator, state)
    named = Delivered(measurement=best).weights
    stale = from_main(accelerator, _scores_of(run_dir) != named)
    if not best.whole or stale or (tried and scores is None):
        evaluation, newest = evaluate(evaluator, best.progress, whole=True)
        best, scores = (
            _as_measured(best, evaluation),
            newest.get(whole_set_metric(primary_metric(rules))),
        )
        log.kept(evaluation, named)
    averages = dict(_averages(evaluator.learner, run_dir, state)) if tried else {}
    chosen = FinalWeights(best=best, tried=_try_averages(evaluator, averages, state, scores, log, put_best))
    test = _test(evaluator, run_dir, state, log)
    if test is None:
        return chosen
    baseline, paired = _against_baseline(evaluator, run_dir, test)
    return replace(chosen, test=test, test_baseline=baseline, test_paired=paired, test_before=before)


def test_scored_steps(run_dir: Path, recipe_hash: str, step: int) -> tuple[int, ...]:
    """Steps at which a run told what it scores on its test split, before the end that it has now."""
    told = [(str(one["recipe"]), int(one["step"])) for one in read_journal(run_dir / TEST_TOLD)]
    return tuple(at for recipe, at in dict.fromkeys(told) if (recipe, at) != (recipe_hash, step))


def tell_test(run_dir: Path, recipe_hash: str, chosen: FinalWeights, step: int) -> None:
    """Note that the test split's scores are told now: what is decided after that has seen them."""
    if chosen.test is not None:
        record = {"recipe": recipe_hash, "step": step, "metrics": dict(chosen.test.metrics)}
        append_record(run_dir / TEST_TOLD, record, durable=True)


def score_test_baseline(evaluator: Evaluator, path: Path) -> float:
    """Keep what the model reaches on the test split before the first step; nothing is decided by it.

    Args:
        evaluator: measures it.
        path: of the file that keeps it.

    Returns:
        Seconds that it took.
    """
    if not evaluator.eval_sets.test:
        return 0.0
    started = time.monotonic()
    scored = score_with(evaluator, evaluator.eval_sets.test, evaluator.metrics)
    if evaluator.process.is_main:
        write_scores(path, scored)
    return float(from_main(evaluator.process.accelerator, time.monotonic() - started))


def _as_measured(before: Measurement, evaluation: Evaluation) -> Measurement:
    now = evaluation.measurement
    return replace(before, metrics=now.metrics, intervals=now.intervals, examples=now.examples, of=None)


def _scores_of(run_dir: Path) -> str | None:
    """Which weights the scores are of that stand in the run directory; the first process's answer counts."""
    path = run_dir / SCORES_OF
    return str(read_object(path).get("weights")) if path.exists() else None


def _known_scores(evaluator: Evaluator, state: State) -> Scores | None:
    kept = state.kept.get(whole_set_metric(primary_metric(evaluator.recipe.stop)), ())
    found = next((one for one in kept if one.step == state.best_step), None)
    return found if found is not None and len(found.totals) == len(evaluator.examples) else None


def _averages(learner: Learner, run_dir: Path, state: State) -> Iterator[tuple[str, Values]]:
    if learner.mean is not None:
        yield "ema", learner.mean.values
    members = soup(run_dir, state.soup) if state.soup else None
    if members is not None:
        values, count = members
        yield f"soup of {count}", values


def _try_averages(
    evaluator: Evaluator,
    candidates: Mapping[str, Values],
    state: State,
    best: Scores | None,
    log: Log,
    put_best: Callable[[], None],
) -> tuple[AverageTrial, ...]:
    """Measure every average; the surest gain, if there is one, stays in the model."""
    learner, single, first = evaluator.learner, leaves(evaluator.recipe.stop), state.history[0]
    metric = whole_set_metric(primary_metric(single))
    tried: list[AverageTrial] = []
    evaluations: list[Evaluation] = []
    for name, values in candidates.items():
        learner.engine.put_weights(values)
        evaluation, newest = evaluate(evaluator, state.progress, whole=True)
        clusters = evaluator.eval_sets.clusters_of(split_name(metric).where)
        known = metric in newest and best is not None
        pair = paired_test(metric, newest[metric], best, clusters) if known and best is not None else None
        tried.append(AverageTrial(name=name, measurement=evaluation.measurement, pair=pair))
        evaluations.append(evaluation)
    sure = [
        (p_better(one.pair), index)
        for index, one in enumerate(tried)
        if one.pair is not None
        and p_better(one.pair) <= CHANCE / len(candidates)
        and within_guards(one.measurement, first, single)
    ]
    if not sure:
        if candidates:
            put_best()
        return tuple(tried)
    _, winner = min(sure)
    used = Delivered(measurement=tried[winner].measurement, average=tried[winner].name)
    learner.engine.put_weights(candidates[tried[winner].name])
    log.kept(evaluations[winner], used.weights)
    return tuple(replace(one, used=index == winner) for index, one in enumerate(tried))


def _test(evaluator: Evaluator, run_dir: Path, state: State, log: Log) -> Measurement | None:
    if not evaluator.eval_sets.test:
        return None
    with log.evaluating():
        scored = score_with(evaluator, evaluator.eval_sets.test, evaluator.metrics)
    if evaluator.process.is_main:
        write_scores(run_dir / TEST_SCORES, scored)
    values, intervals = summarise_scores(scored, evaluator.metrics)
    return Measurement(
        progress=state.progress, metrics=values, intervals=intervals, examples=len(scored), seconds=0.0
    )


def _against_baseline(
    evaluator: Evaluator, run_dir: Path, test: Measurement
) -> tuple[Mapping[str, float], tuple[Paired, ...]]:
    """What the baseline reached on the test split, and the gains over it; only the first process knows."""
    path = run_dir / TEST_BASELINE
    if not evaluator.process.is_main or not path.exists():
        return {}, ()
    before, after = read_scores(path), read_scores(run_dir / TEST_SCORES)
    if [one.id for one in before] != [one.id for one in after]:
        return {}, ()
    names = dict.fromkeys(("loss", *asked_metrics(evaluator.recipe)))
    pairs = [_pair(name, before, after, test.step) for name in names]
    return summarise_scores(before, evaluator.metrics)[0], tuple(pair for pair in pairs if pair is not None)


def _pair(name: str, before: tuple[Scored, ...], after: tuple[Scored, ...], step: int) -> Paired | None:
    older, newer = scores_of_metric(name, before, 0), scores_of_metric(name, after, step)
    return paired_test(name, newer, older) if newer is not None and older is not None else None


def plain_chosen(chosen: FinalWeights) -> dict[str, Any]:
    """What ``result.json`` says of it."""
    found: dict[str, Any] = {}
    if chosen.tried:
        used = next((one.name for one in chosen.tried if one.used), None)
        found["average"] = {"used": used, "tried": [_plain_tried(one) for one in chosen.tried]}
    if chosen.test is not None:
        found["test"] = {
            "examples": chosen.test.examples,
            "metrics": dict(chosen.test.metrics),
            "intervals": {name: list(ends) for name, ends in chosen.test.intervals.items()},
            "told_before": list(chosen.test_before),
            "baseline": dict(chosen.test_baseline),
            "gains": {pair.metric: _plain_pair(pair) for pair in chosen.test_paired},
        }
    if chosen.proof is not None:
        found["reopened"] = asdict(chosen.proof)
    return found


def _plain_tried(one: AverageTrial) -> dict[str, Any]:
    return {
        "name": one.name,
        "metrics": dict(one.measurement.metrics),
        "intervals": {name: list(ends) for name, ends in one.measurement.intervals.items()},
        "against_best": _plain_pair(one.pair) if one.pair is not None else None,
        "used": one.used,
    }


def _plain_pair(pair: Paired) -> dict[str, Any]:
    return {"metric": pair.metric, "gain": pair.gain, "error": pair.error, "p": p_better(pair)}

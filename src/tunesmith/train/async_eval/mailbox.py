"""The folder through which a run and those who score beside it speak: weights in, scores out.

``looks/step-00000040`` holds the weights to be scored, ``looks/scored-00000040`` what they scored. Each
appears whole or not at all and has a manifest. A look has a mark of its own, which its scores repeat, so
that scores of weights which a run has given up are never taken for those of others of the same step.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.atomic import make_folder, publish_folder, remove_folder, write_json, writing
from tunesmith.checkpoint.manifest import checkpoint_name, checkpoint_step, checkpoints, read_manifest, verify
from tunesmith.checkpoint.manifest import write_manifest as seal
from tunesmith.checkpoint.names import is_temporary, temporary_path
from tunesmith.judge.comparisons import comparands_from_plain, comparands_to_plain
from tunesmith.judge.measurement import Measurement, Progress, measurement_from_plain, measurement_to_plain
from tunesmith.judge.statistics.example_scores import Scores
from tunesmith.report.score_files import read_scores, write_scores
from tunesmith.train.evaluate.score import Evaluation
from tunesmith.train.resume.checkpoint_facts import checkpoint_states, whole_numbers

FOLDER, SIGN = "looks", "scorer.json"
TEST_SCORES = "test_scores.jsonl"
_MEASURED, _SCORES, _SCORED = "measurement.json", "scores.jsonl", "scored-"
_FINISHED = re.compile(rf"(?:step-|{_SCORED})\d{{8,}}")
_OURS = re.compile(
    rf"(?:{_FINISHED.pattern}|{re.escape(SIGN)}|{TEST_SCORES}|scorer\.log|owner\.lock)(?:\.tmp-.*)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRequest:
    """Weights to be scored.

    Attributes:
        folder: where they lie.
        mark: tells this look from an earlier one of the same step.
        progress: of the run when it had these weights.
        train_loss: mean since the look before.
    """

    folder: Path
    mark: str
    progress: Progress
    train_loss: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalResult:
    """What a look's weights scored.

    Attributes:
        evaluation: the measurement, and what it was made of.
        newest: what each example gave by the metrics that rules look at.
        test_scores: of the test split before the first step, if there are any; a file.
    """

    evaluation: Evaluation
    newest: Mapping[str, Scores]
    test_scores: Path | None


def request_folder(run_dir: Path, step: int) -> Path:
    """Where the weights of a step lie."""
    return run_dir / FOLDER / checkpoint_name(step)


def result_folder(run_dir: Path, step: int) -> Path:
    """Where it is written what they scored."""
    return run_dir / FOLDER / f"{_SCORED}{step:08d}"


def describe_request(mark: str, progress: Progress, train_loss: float | None) -> dict[str, Any]:
    """What the manifest of a look says of it."""
    return {"step": progress.step, "mark": mark, "progress": asdict(progress), "train_loss": train_loss}


def read_request(run_dir: Path, step: int) -> EvalRequest | None:
    """A look that is there; ``None`` if it is not, or its manifest cannot be read."""
    folder = request_folder(run_dir, step)
    try:
        said = read_manifest(folder)
        progress = Progress(**said["progress"])
    except (ValueError, KeyError, TypeError):
        return None
    return EvalRequest(
        folder=folder, mark=str(said["mark"]), progress=progress, train_loss=said["train_loss"]
    )


def steps_to_score(run_dir: Path) -> list[int]:
    """Steps whose weights are there and not scored, oldest first."""
    steps = [checkpoint_step(folder) or 0 for folder in reversed(checkpoints(run_dir / FOLDER))]
    return [
        step for step in steps if read_request(run_dir, step) is not None and not is_scored(run_dir, step)
    ]


def is_scored(run_dir: Path, step: int) -> bool:
    """Whether there is a result of the weights that now lie there."""
    look = read_request(run_dir, step)
    return look is not None and _mark_of(result_folder(run_dir, step)) == look.mark


def write_result(
    run_dir: Path,
    look: EvalRequest,
    evaluation: Evaluation,
    newest: Mapping[str, Scores],
    test_scores: Callable[[Path], object] | None = None,
) -> bool:
    """Publish what a look's weights scored, unless the run has given them up meanwhile.

    Args:
        run_dir: of the run.
        look: whose weights they are.
        evaluation: the measurement and its examples.
        newest: what each example gave by the metrics that rules look at.
        test_scores: writes those of the test split, if there are any.

    Raises:
        UserError: if it cannot be written.
    """
    step = look.progress.step
    if read_request(run_dir, step) != look:
        return False
    try:
        return _publish_result(run_dir, look, evaluation, newest, test_scores)
    except FileNotFoundError:
        if read_request(run_dir, step) == look:
            raise
        return False  # the run has ended, and removed everything here, just now


def _publish_result(
    run_dir: Path,
    look: EvalRequest,
    evaluation: Evaluation,
    newest: Mapping[str, Scores],
    test_scores: Callable[[Path], object] | None,
) -> bool:
    """See ``write_result``, which takes care of a folder that goes away meanwhile."""
    step = look.progress.step
    final = result_folder(run_dir, step)
    folder = temporary_path(final)
    with writing(final):
        make_folder(folder)
        plain = {"measurement": measurement_to_plain(evaluation.measurement), "newest": _plain_scores(newest)}
        write_json(folder / _MEASURED, plain)
        write_scores(folder / _SCORES, evaluation.scored)
        if test_scores is not None:
            test_scores(folder / TEST_SCORES)
        seal(folder, {"step": step, "mark": look.mark})
        if read_request(run_dir, step) != look:
            remove_folder(folder)
            with suppress(OSError):  # if the run has ended, nothing shall be left of it
                (run_dir / FOLDER).rmdir()
            return False
        publish_folder(folder, final, replace=True)
    return True


def read_result(run_dir: Path, step: int) -> EvalResult | None:
    """What the weights of a step scored; ``None`` while that is not known."""
    folder = result_folder(run_dir, step)
    if not is_scored(run_dir, step):
        return None
    if verify(folder):  # so that it is scored again
        remove_folder(folder)
        return None
    plain = json.loads((folder / _MEASURED).read_text(encoding="utf-8"))
    test = folder / TEST_SCORES
    return EvalResult(
        evaluation=Evaluation(measurement_from_plain(plain["measurement"]), read_scores(folder / _SCORES)),
        newest={metric: one[0] for metric, one in comparands_from_plain(plain["newest"]).items()},
        test_scores=test if test.exists() else None,
    )


def as_requested(measurement: Measurement, look: EvalRequest) -> Measurement:
    """A measurement of a look's weights, stamped with where the run was when it had them."""
    return replace(measurement, progress=look.progress, train_loss=look.train_loss, beside=True)


def drop_requests(run_dir: Path, awaited: Collection[int]) -> None:
    """Remove all looks and results but those of some steps; what is just being written is its writers'.

    Those may be other processes than the one that tidies: none of them waits for it.
    """
    if not (run_dir / FOLDER).is_dir():
        return
    keep = {folder(run_dir, step) for step in awaited for folder in (request_folder, result_folder)}
    for path in (run_dir / FOLDER).iterdir():
        if _FINISHED.fullmatch(path.name) and path not in keep and path.is_dir():
            remove_folder(path)


def drop_collected(run_dir: Path) -> None:
    """Remove looks that no checkpoint waits for; those after the newest one may yet be waited for."""
    if not (run_dir / FOLDER).is_dir():
        return
    saved = checkpoints(run_dir / "checkpoints")
    newest = max((checkpoint_step(folder) or 0 for folder in saved), default=-1)
    awaited = {step for said in checkpoint_states(run_dir) for step in whole_numbers(said.get("awaited"))}
    present = {checkpoint_step(folder) or 0 for folder in checkpoints(run_dir / FOLDER)}
    drop_requests(run_dir, awaited | {step for step in present if step > newest})


def drop_all(run_dir: Path) -> None:
    """Remove everything of ours, when a run has ended."""
    folder = run_dir / FOLDER
    if not folder.is_dir():
        return
    with suppress(OSError):
        ours = [path for path in folder.iterdir() if _OURS.fullmatch(path.name)]
        if len(ours) == len(list(folder.iterdir())):
            remove_folder(folder)
            return
        for path in ours:
            remove_folder(path) if path.is_dir() else path.unlink()


def is_being_scored(path: Path) -> bool:
    """Whether a path is that of a result which is not finished."""
    return path.name.startswith(_SCORED) and is_temporary(path)


def _mark_of(folder: Path) -> str | None:
    try:
        return str(read_manifest(folder)["mark"])
    except (ValueError, KeyError):
        return None


def _plain_scores(newest: Mapping[str, Scores]) -> dict[str, Any]:
    return comparands_to_plain({metric: (scores,) for metric, scores in newest.items()})

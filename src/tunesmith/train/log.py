"""What a run says: one JSON line a step for programs, one line an evaluation and a bar for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from tunesmith.checkpoint.atomic import write_json
from tunesmith.checkpoint.journal import append_record
from tunesmith.judge.instability import StepOutcome
from tunesmith.judge.measurement import Measurement, Progress, Verdict, measurement_to_plain
from tunesmith.metrics.compute import confusion_matrix
from tunesmith.metrics.names import slice_of
from tunesmith.report.score_files import write_scores
from tunesmith.terminal import drawing, printable
from tunesmith.train.context import Setup
from tunesmith.train.evaluate.score import Evaluation
from tunesmith.train.record.cost import memory_bytes
from tunesmith.train.step import StepResult

QUIET_SECONDS = 10.0
SCORES_OF = "scores_of.json"
"""Says of which weights the scores, samples and confusions are that stand in the run directory."""
EVIDENCE = ("train_loss", "paired", "clusters", "of", "sets", "slices", "beside")
"""What an evaluation's line holds beside its values, where it is known: enough to judge it again."""


class Log:
    """Writes ``metrics.jsonl`` and talks to the terminal; does nothing in all processes but the first."""

    def __init__(
        self,
        run_dir: Path,
        *,
        main: bool,
        total_steps: int | None,
        samples: int,
        labels: Sequence[str],
        device: torch.device,
        still_ours: Callable[[], None] = lambda: None,
    ) -> None:
        self._still_ours = still_ours
        self._run_dir, self._main = run_dir, main
        self._samples, self._labels, self._device = samples, labels, device
        self._total_steps = total_steps
        self._console = Console(file=drawing(sys.stdout), quiet=not main, highlight=False, soft_wrap=True)
        self._bar = Bar(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not (main and self._console.is_terminal),
        )
        self._task = self._bar.add_task("train", total=total_steps, facts="")
        self._last = (0, 0.0)
        self._spoke = 0.0
        self._rate = 0.0

    def __enter__(self) -> Log:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """Print a text, from the first process alone."""
        self._console.print(printable(text), markup=False)

    def step(self, progress: Progress, result: StepResult, learning_rate: float, samples: str) -> None:
        """Record one optimiser step."""
        tokens, seconds = progress.tokens - self._last[0], progress.seconds - self._last[1]
        rate = tokens / seconds if seconds > 0 else 0.0
        self._rate = 0.9 * self._rate + 0.1 * rate if self._rate else rate
        self._last = (progress.tokens, progress.seconds)
        if not self._main:
            return
        self._still_ours()
        record = {
            "kind": "train",
            "step": progress.step,
            "epoch": round(progress.epoch, 6),
            "loss": result.loss,
            "loss_hex": result.loss.hex(),
            **({"parts": dict(result.parts)} if result.parts else {}),
            "grad_norm": result.grad_norm,
            "learning_rate": learning_rate,
            "tokens": progress.tokens,
            "supervised_tokens": result.supervised,
            "seconds": round(progress.seconds, 3),
            "device_seconds": round(progress.device_seconds or progress.seconds, 3),
            **({"joules": round(progress.joules, 3)} if progress.joules is not None else {}),
            "memory_bytes": memory_bytes(self._device),
            "samples": samples,
            **({} if result.updated else {"updated": False}),
        }
        append_record(self._run_dir / "metrics.jsonl", record)
        loss = f"loss {result.loss:.4f}" if result.supervised else "every row left out"
        facts = f"{loss}  {self._rate:,.0f} tokens/s"
        self._bar.update(self._task, completed=progress.step, facts=facts)
        if not self._console.is_terminal and progress.seconds - self._spoke >= QUIET_SECONDS:
            self._spoke = progress.seconds
            left = f" of {self._total_steps}" if self._total_steps else ""
            self.say(f"step {progress.step}{left}  {facts}  learning rate {learning_rate:.2e}")

    def outcome(self, step: int, outcome: StepOutcome) -> None:
        """Say so when the numbers of a step went wrong."""
        if outcome.action == "go on":
            return
        if self._main:
            record = {"kind": "trouble", "step": step, "action": outcome.action, "reason": outcome.reason}
            append_record(self._run_dir / "metrics.jsonl", record, durable=True)
        self.say(f"  {outcome.action}: {outcome.reason}")

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Say that an evaluation is under way; its time does not count as training's."""
        self._bar.update(self._task, description="evaluate")
        yield
        self._bar.update(self._task, description="train")

    def measurement(
        self, evaluation: Evaluation, verdict: Verdict, *, best_step: int, notes: Sequence[str] = ()
    ) -> None:
        """Record one evaluation, its verdict and notes, and, if it is the best, its samples."""
        is_best = evaluation.measurement.step == best_step
        measured = evaluation.measurement
        if not measured.beside:
            self._last = (measured.progress.tokens, measured.progress.seconds + measured.seconds)
        if not self._main:
            return
        self._still_ours()
        plain = measurement_to_plain(measured)
        record = {
            "kind": "eval",
            "step": measured.progress.step,
            "epoch": round(measured.progress.epoch, 6),
            "tokens": measured.progress.tokens,
            "metrics": dict(measured.metrics),
            "intervals": {name: list(ends) for name, ends in measured.intervals.items()},
            "examples": measured.examples,
            "seconds": round(measured.seconds, 3),
            "at": round(measured.progress.seconds, 3),
            **{name: plain[name] for name in EVIDENCE if name in plain},
            "verdict": asdict(verdict),
            "kept": best_step,
            **({"notes": list(notes)} if notes else {}),
        }
        append_record(self._run_dir / "metrics.jsonl", record, durable=True)
        best = f"step {best_step}" if is_best else ""
        self._write_samples(evaluation, first=measured.progress.step == 0, best=best)
        self.say(_in_words(measured, is_best=is_best))
        self.say(f"  {verdict.decision}: {verdict.reason}")
        for note in notes:
            self.say(f"  note: {note}")

    def kept(self, evaluation: Evaluation, weights: str) -> None:
        """The weights kept are these, named so: their scores and samples stand in the run directory."""
        if self._main:
            self._write_samples(evaluation, first=False, best=weights)

    def _write_samples(self, evaluation: Evaluation, *, first: bool, best: str) -> None:
        is_best = bool(best)
        path = self._run_dir / "samples.json"
        if is_best:
            self._still_ours()
            (self._run_dir / SCORES_OF).unlink(missing_ok=True)  # until all of them are written
        known = _samples_before(path)
        for name in ("baseline_scores.jsonl",) * first + ("scores.jsonl",) * is_best:
            write_scores(self._run_dir / name, evaluation.scored, check=self._still_ours)
        shown = evaluation.scored[: self._samples]
        if first or is_best:
            samples = [
                _sample(one, known.get(one.id), first=first) for one in shown if one.prediction is not None
            ]
            write_json(path, samples, check=self._still_ours)
        if is_best and self._labels and evaluation.scored:
            guessed = [one.prediction for one in evaluation.scored]
            truth = [one.reference for one in evaluation.scored]
            if {*guessed, *truth} <= set(self._labels):  # several classes at once are none of them
                content = {"labels": self._labels, "counts": confusion_matrix(self._labels, guessed, truth)}
                write_json(self._run_dir / "confusion.json", content, check=self._still_ours)
        if is_best:
            write_json(self._run_dir / SCORES_OF, {"weights": best}, check=self._still_ours)


def open_log(setup: Setup, still_ours: Callable[[], None]) -> Log:
    """The log of a run; nothing is written once the run directory is another's."""
    return Log(
        setup.checkpointer.run_dir,
        main=setup.process.is_main,
        total_steps=setup.total_steps,
        samples=setup.recipe.eval.samples,
        labels=setup.learner.task.class_names(),
        device=setup.process.accelerator.device,
        still_ours=still_ours,
    )


def _in_words(measured: Measurement, *, is_best: bool) -> str:
    seen = f", {measured.examples:,} of {measured.of:,} rows" if measured.of is not None else ""
    parts = [f"evaluation at step {measured.progress.step}{seen}:"]
    for name, value in measured.metrics.items():
        if slice_of(name) is not None:  # one slice of many: its place is the report
            continue
        ends = measured.intervals.get(name)
        parts.append(f"{name} {value:.4f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else ""))
    return "  ".join([*parts, f"{measured.seconds:.1f} s", *(["best so far"] if is_best else [])])


def _samples_before(path: Path) -> dict[str, dict[str, Any]]:
    """The samples written last, by id; a file that was damaged meanwhile holds none, and is written anew."""
    try:
        found = json.loads(path.read_bytes())
        return {one["id"]: one for one in found}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _sample(one: Any, before: dict[str, Any] | None, *, first: bool) -> dict[str, Any]:
    return {
        "id": one.id,
        "input": one.input,
        "reference": one.reference,
        "before": one.prediction if first else (before or {}).get("before"),
        "after": one.prediction,
    }

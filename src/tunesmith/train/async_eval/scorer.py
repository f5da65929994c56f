"""Those who score beside training: a process of the run's own, or one that somebody else starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from tunesmith.checkpoint.atomic import make_folder
from tunesmith.errors import UserError
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.train.async_eval import mailbox
from tunesmith.train.async_eval.pending import Handover, Scorer
from tunesmith.train.engine.process import Process

STARTS = 3
"""How often a scorer is started in a row that ends without having scored anything."""
LEAVE = 10.0
"""Seconds that it has to leave when the run ends."""
SAID = 2000
"""Characters of its last words that are told."""
_LAUNCHERS = ("ACCELERATE_", "TORCHELASTIC_", "MASTER_", "GROUP_", "ROLE_", "FSDP_")
_PLACES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "LOCAL_SIZE", "CROSS_RANK", "CROSS_SIZE")
PRECISION = "ACCELERATE_MIXED_PRECISION"


@dataclass(slots=True)
class ScorerHeartbeat:
    """Whether whoever scores gives signs of life.

    Attributes:
        path: of the file with the newest one.
        deadline: seconds without a sign after which nobody is there.
        clock: tells seconds.
    """

    path: Path
    deadline: float
    clock: Callable[[], float] = time.monotonic
    _newest: Mapping[str, Any] = field(default_factory=dict)
    _heard: float | None = None

    def silent(self) -> float | None:
        """Seconds since the last sign of life, if they are too many."""
        now = self.clock()
        try:
            said = json.loads(self.path.read_bytes())
        except (OSError, ValueError):
            said = {}
        if self._heard is None or said != self._newest:
            self._heard, self._newest = now, said
        quiet = now - self._heard
        return quiet if quiet > self.deadline else None

    def forget(self) -> None:
        """Begin to count anew."""
        self._heard = None


@dataclass(slots=True)
class ExternalScorer:
    """A scorer that somebody else starts: ``tunesmith follow``."""

    run_dir: Path
    signs: ScorerHeartbeat
    told: bool = False

    def check(self) -> None:
        """See ``Scorer``."""
        if not self.told:
            self.told = True
            print(f"waiting for `tunesmith follow {self.run_dir}` to score what is due", flush=True)
        quiet = self.signs.silent()
        if quiet is not None:
            raise UserError(
                f"nobody has scored anything for {quiet:.0f} s (`run.deadline`)",
                str(self.run_dir),
                f"everything is saved: start `tunesmith follow {self.run_dir}` and give the same command "
                "again, or write `eval.mode: async`",
            )

    def scored(self) -> None:
        """See ``Scorer``."""


@dataclass(slots=True)
class SubprocessScorer:
    """A scorer that is a process of the run's own, started again if it ends."""

    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    signs: ScorerHeartbeat
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    def start(self) -> None:
        """Start it; its output goes to a file."""
        self.starts += 1
        self.signs.forget()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def check(self) -> None:
        """See ``Scorer``."""
        assert self.process is not None, "it is started first"
        quiet = self.signs.silent()
        if quiet is not None:
            self.process.kill()
            self.process.wait()
        status = self.process.poll()
        if status is None:
            return
        what = f"ended with status {status}" if quiet is None else f"hung for {quiet:.0f} s (`run.deadline`)"
        if self.starts >= STARTS:
            raise UserError(
                f"the process that evaluates beside training {what}, {self.starts} times in a row"
                f"; its last words:\n{self._last_words()}",
                str(self.log),
                "everything is saved: mend that and give the same command again, or write "
                "`eval.mode: inline`",
            )
        print(f"the process that evaluates beside training {what}; it is started again", flush=True)
        self.start()

    def scored(self) -> None:
        """See ``Scorer``."""
        self.starts = 0

    def end(self) -> None:
        """End it; what it was about is done again by the next one."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(LEAVE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _last_words(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-SAID:].strip()


class NullScorer:
    """What processes other than the first know of the scorer."""

    def check(self) -> None:
        """See ``Scorer``."""

    def scored(self) -> None:
        """See ``Scorer``."""


@contextmanager
def with_scorer(process: Process, run_dir: Path, recipe: Recipe) -> Iterator[Handover | None]:
    """What it takes to be evaluated beside training; ``None`` if the recipe does not say so."""
    mode = recipe.eval.mode
    if mode == "inline":
        yield None
        return
    scorer: Scorer = NullScorer()
    child: SubprocessScorer | None = None
    if process.is_main:
        signs = ScorerHeartbeat(run_dir / mailbox.FOLDER / mailbox.SIGN, recipe.run.deadline)
        make_folder(run_dir / mailbox.FOLDER)
        scorer = ExternalScorer(run_dir, signs)
        if mode == "async":
            scorer = child = _child_of(process, run_dir, signs)
            child.start()
    try:
        yield Handover(run_dir, scorer, recipe.eval.ahead)
    finally:
        if child is not None:
            child.end()


def _child_of(process: Process, run_dir: Path, signs: ScorerHeartbeat) -> SubprocessScorer:
    # -P: a file `evaluate.py` where the run was started is not the library of that name
    words = [sys.executable, "-P", "-m", "tunesmith", "follow", str(run_dir)]
    words += ["--child-of", str(os.getpid())]
    if process.accelerator.device.type == "cpu":
        words += ["--threads", str(process.threads)]
    environment = single_process_environment(
        os.environ, process.world.local_world_size, torch.cuda.device_count()
    )
    return SubprocessScorer(words, environment, run_dir / mailbox.FOLDER / "scorer.log", signs)


def single_process_environment(environ: Mapping[str, str], processes: int, devices: int) -> dict[str, str]:
    """The environment of a process that is no part of the launch which it is started from.

    It gets the first device that no process of the run has; if there is none, it shares the first one's.

    Args:
        environ: of a process of the run.
        processes: of the run on this machine.
        devices: that can be seen here.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if name not in _PLACES and not name.startswith(_LAUNCHERS)
    }
    if PRECISION in environ:
        kept[PRECISION] = environ[PRECISION]
    if devices:
        seen = [one for one in environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
        names = seen or [str(number) for number in range(devices)]
        kept["CUDA_VISIBLE_DEVICES"] = names[processes if processes < len(names) else 0]
    return kept

"""``tunesmith watch``: follow a run in the terminal until it ends."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live

from tunesmith import numbers
from tunesmith.checkpoint.plain_file import is_there, refuse_closed
from tunesmith.errors import Exit, UserError
from tunesmith.live.follow import Followed, follow_journal
from tunesmith.live.frame import Fit, frame
from tunesmith.report.summary import metrics_of, notes_of, summarise_run
from tunesmith.terminal import drawing, one_line, printable

LONGEST_PAUSE = 3600.0


def watch_run(
    run_dir: Path, *, once: bool = False, every: float = 1.0, console: Console | None = None
) -> int:
    """Show a run until it ends; nothing is written, and only the files of its directory are read.

    A run that has not begun is waited for. Where the output is no terminal, each evaluation is one line.

    Args:
        run_dir: the directory, which need not be there yet.
        once: show one frame and return.
        every: seconds between two looks.
        console: where to draw; default: standard output.

    Returns:
        0; 1 if the run is lost, that is, if its process is gone without having ended it.

    Raises:
        UserError: if ``run_dir`` is a file, or ``every`` is not a time.
    """
    refuse_closed(run_dir)
    if is_there(run_dir) and not run_dir.is_dir():
        raise UserError(f"`{run_dir}` is not a run directory", hint="give the folder that `run.dir` names")
    if not 0.05 <= every <= LONGEST_PAUSE:
        raise UserError(f"`--every {every:g}` is no sensible time", hint="give seconds, 0.05 to 3600")
    console = console or Console(highlight=False, file=drawing(sys.stdout))
    if once:
        followed = follow_journal(run_dir)
        console.print(Fit(frame(followed, width=console.width)))
    elif console.is_terminal:
        followed = _draw(run_dir, every, console)
    else:
        followed = _tell(run_dir, every, console)
    return Exit.FAULT if followed.life.phase == "lost" else Exit.FINISHED


def _draw(run_dir: Path, every: float, console: Console) -> Followed:
    """Redraw in place; the last frame stays on the screen."""
    followed = follow_journal(run_dir)
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(Fit(frame(followed, width=console.width)), refresh=True)
                if followed.life.phase in ("ended", "lost"):
                    break
                time.sleep(every)
                followed = follow_journal(run_dir, followed)
    except KeyboardInterrupt:
        pass  # the usual way to leave; the run goes on
    console.print(Fit(frame(followed, width=console.width)))
    return followed


def _tell(run_dir: Path, every: float, console: Console) -> Followed:
    """A line for each evaluation and each change of the run's state."""
    followed: Followed | None = None
    told, phase = -1, ""
    while True:
        followed = follow_journal(run_dir, followed)
        if followed.life.phase != phase:
            phase = followed.life.phase
            console.print(
                f"{one_line(str(run_dir))}: {printable(followed.life.told)}", markup=False, soft_wrap=True
            )
        for record in followed.run.evals:
            if record["step"] > told:
                console.print(_line(record), markup=False, soft_wrap=True)
                told = record["step"]
        if phase in ("ended", "lost"):
            if phase == "ended":
                console.print(printable(summarise_run(followed.run).headline), markup=False, soft_wrap=True)
            return followed
        time.sleep(every)


def _line(record: object) -> str:
    assert isinstance(record, dict)
    verdict = record.get("verdict")
    reason = f"{verdict.get('decision')}: {verdict.get('reason')}" if isinstance(verdict, dict) else ""
    values = "  ".join(f"{name} {numbers.number(value)}" for name, value in metrics_of(record).items())
    notes = "".join(f"\n  note: {note}" for note in notes_of(record))
    return printable(f"step {record['step']}  {values}  {reason}".rstrip() + notes)

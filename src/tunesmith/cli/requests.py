"""The commands that ask a running run for something: save, stop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tunesmith.checkpoint.requests import Wish

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Its directory; on any machine that sees it.")]
Wait = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait; 0: only ask.")
]


def save(run_dir: Run, wait: Wait = 600.0) -> None:
    """Let a running run write a checkpoint now."""
    _ask(run_dir, "save", wait)
    from tunesmith.checkpoint.manifest import checkpoints

    if wait:
        typer.echo(str(checkpoints(run_dir / "checkpoints")[0]))


def stop(run_dir: Run, wait: Wait = 600.0) -> None:
    """Let a running run finish well.

    It evaluates once more, keeps the best weights, and writes its report.
    """
    _ask(run_dir, "stop", wait)
    if wait:
        typer.echo(f"model   {run_dir / 'model'}\nreport  {run_dir / 'report.html'}")


def _ask(run_dir: Path, wish: Wish, wait: float) -> None:
    from tunesmith.live.requests import ask_and_wait

    if not ask_and_wait(run_dir, wish, wait):
        typer.echo(f"asked; the run looks between two steps and after an evaluation ({run_dir})")

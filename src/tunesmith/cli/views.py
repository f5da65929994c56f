"""The commands that look at runs: compare, watch, follow, ui."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Runs = Annotated[
    list[Path], typer.Argument(metavar="RUN RUN...", help="Run directories; the first is the reference.")
]


def compare(
    runs: Runs,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="M", help="Compare by this metric alone.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page as well.")] = None,
) -> None:
    """Compare runs on the same examples, with p-values."""
    from tunesmith.report.compare.page import write_comparison
    from tunesmith.report.compare.runs import compare_runs
    from tunesmith.report.compare.text import as_text
    from tunesmith.terminal import printable

    found = compare_runs(runs, metric)
    typer.echo(printable(as_text(found)))
    if html is not None:
        write_comparison(html, found)
        typer.echo(f"\n{html}")


def watch(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN", help="Its directory, also before it is there.")],
    once: Annotated[bool, typer.Option("--once", help="Show one frame and leave.")] = False,
    every: Annotated[float, typer.Option("--every", metavar="SECONDS", help="How often to look.")] = 1.0,
) -> None:
    """Follow a run in the terminal until it ends."""
    from tunesmith.live.watch import watch_run

    raise typer.Exit(watch_run(run_dir, once=once, every=every))


def follow(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN", help="Its directory, also before it is there.")],
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="To compute with.")] = None,
    child_of: Annotated[int | None, typer.Option("--child-of", hidden=True)] = None,
) -> None:
    """Score a run's weights beside its training.

    For recipes with `eval.mode: follower`. Start it anywhere that sees the run's directory and its data.
    It ends with the run.
    """
    from tunesmith.cli.messages import outlive_reader
    from tunesmith.train.follower import follow_run

    outlive_reader()
    raise typer.Exit(follow_run(run_dir, threads=threads, child_of=child_of))


def ui(
    runs: Annotated[Path, typer.Argument(metavar="RUNS", help="A folder with run directories in it.")] = Path(
        "runs"
    ),
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8686,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; by default only this machine.")
    ] = "127.0.0.1",
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Let every user of this machine look.")
    ] = False,
) -> None:
    """Open a local page that lists, compares and follows runs."""
    from tunesmith.ui.serve import serve

    serve(runs, host=host, port=port, with_token=not no_token)

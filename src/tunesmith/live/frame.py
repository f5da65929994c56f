"""One frame of the live view: a followed run as something that rich can draw."""

from __future__ import annotations

from collections.abc import Sequence

from rich.columns import Columns
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from tunesmith import numbers
from tunesmith.live.eta import Eta, eta
from tunesmith.live.follow import Followed
from tunesmith.live.plot import LABEL, plot
from tunesmith.report.charts.downsample import downsample, smooth
from tunesmith.report.run_files import Record, RunFiles
from tunesmith.report.sections.results import metric_names
from tunesmith.report.summary import (
    baseline,
    best,
    chief_metric,
    metrics_of,
    notes_of,
    summarise_run,
    targets,
)
from tunesmith.terminal import printable

TONES = {"good": "green", "plain": "blue", "warn": "yellow", "bad": "red", "going": "cyan"}
PHASES = {"waiting": "dim", "running": "green", "silent": "yellow", "lost": "red", "ended": "blue"}
STYLES = {"line": "cyan", "band": "blue dim", "goal": "green", "": ""}
MOST_METRICS, PLOT_ROWS = 8, 8


def frame(followed: Followed, *, width: int) -> RenderableType:
    """Everything at a glance, ``width`` characters wide."""
    run, now = followed.run, eta(followed.run)
    parts: list[RenderableType] = [_head(followed, width), Text(), *_story(followed)]
    if followed.life.phase != "waiting":
        parts += [_progress(now, width, ended=followed.life.phase == "ended"), Text()]
    if run.evals:
        parts += [_metrics(run, width), Text()]
    charts = _charts(run, now, width)
    parts += [*charts, Text()] if charts else []
    parts.append(_facts(run, now))
    return Padding(Group(*parts), (0, 1))


class Fit:
    """Something that rich can draw, without what text in it would command the terminal."""

    def __init__(self, drawn: RenderableType) -> None:
        self._drawn = drawn

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The same with every piece of text made printable; colours are rich's own."""
        for piece in console.render(self._drawn, options):
            yield piece if piece.control else Segment(printable(piece.text), piece.style)


def _head(followed: Followed, width: int) -> RenderableType:
    run, life = followed.run, followed.life
    row = Table.grid(expand=True)
    row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    row.add_column(justify="right", no_wrap=True)
    name = Text.assemble((printable(run.name), "bold"), f"  {printable(str(run.recipe.get('task', '')))}")
    row.add_row(name, Text(f"● {life.phase}", PHASES[life.phase]))
    return row


def _story(followed: Followed) -> list[RenderableType]:
    run, life = followed.run, followed.life
    if life.phase == "waiting":
        return [Text(f"{run.run_dir}: {life.told}", "dim")]
    story = summarise_run(run)
    shown = [Text(printable(story.headline), f"bold {TONES[story.tone]}")]
    if life.phase in ("lost", "silent"):
        shown.append(Text(f"The run is {life.phase}: {printable(life.told)}.", f"bold {PHASES[life.phase]}"))
    elif life.phase == "running":
        shown.append(_last_verdict(run))
    elif story.detail:
        shown.append(Text(printable(story.detail)))
    return [*shown, Text()]


def _last_verdict(run: RunFiles) -> Text:
    verdict = run.evals[-1].get("verdict") if run.evals else None
    if not isinstance(verdict, dict):
        return Text("nothing measured yet", "dim")
    decision, reason = str(verdict.get("decision") or ""), str(verdict.get("reason") or "")
    style = {"stop": "bold green", "unknown": "bold yellow"}.get(decision, "bold")
    notes = "".join(f"\nnote: {printable(note)}" for note in notes_of(run.evals[-1]))
    return Text.assemble((printable(decision), style), f": {printable(reason)}", (notes, "yellow"))


def _progress(now: Eta, width: int, *, ended: bool) -> RenderableType:
    total = now.last_step or now.step or 1
    of = f" of {numbers.number(now.last_step)}" if now.last_step else ""
    told = f"step {numbers.number(now.step)}{of}"
    after = f"{numbers.duration(now.seconds)} in all" if ended else ""
    if not ended and now.seconds_left is not None:
        after = f"at most {numbers.duration(now.seconds_left)} left"
    beside = width - len(told) - len(after) - 8
    bar = ProgressBar(
        total=total, completed=min(now.step, total), width=beside if beside >= 10 else width - 2
    )
    text = Text.assemble(told, "  ", (after, "dim"))
    if beside < 10:
        return Group(bar, text)
    row = Table.grid(padding=(0, 2))
    row.add_row(bar, text)
    return row


def _metrics(run: RunFiles, width: int) -> RenderableType:
    first, last, kept = baseline(run), run.evals[-1], best(run)
    goals, wide = targets(run.recipe), width >= 76
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    table.add_column("metric", no_wrap=True)
    for name in ("baseline", "now", "95 % interval", "best", "target")[: 5 if wide else 3]:
        table.add_column(name, justify="right", no_wrap=True)
    for index, name in enumerate(metric_names(run, run.evals)[:MOST_METRICS]):
        value, top = metrics_of(last).get(name), metrics_of(kept).get(name)
        step = (kept or {}).get("step")
        at = "" if top is None else " (average)" if step is None else f" @{step}"
        goal = goals.get(name)
        cells: list[str | Text] = [
            numbers.number(metrics_of(first).get(name)),
            Text(numbers.number(value), "bold" if index == 0 else ""),
            Text(numbers.interval(_interval(last, name)), "dim"),
            Text(f"{numbers.number(top)}{at}"),
            Text(numbers.number(goal) if goal is not None else "", "green"),
        ]
        table.add_row(Text(printable(name), "bold" if index == 0 else ""), *cells[: 5 if wide else 3])
    return table


def _interval(record: Record, name: str) -> object:
    intervals = record.get("intervals")
    return intervals.get(name) if isinstance(intervals, dict) else None


def _charts(run: RunFiles, now: Eta, width: int) -> list[RenderableType]:
    each = (width - 6) // 2 if width >= 84 else width - 3
    last = max([now.step, *(record["step"] for record in run.evals)], default=0)
    shown = []
    name = chief_metric(run)
    measured = [record for record in run.evals if name in metrics_of(record)]
    if len(measured) > 1:
        line = [(float(r["step"]), metrics_of(r)[name]) for r in measured]
        bounds = [
            (r["step"], b) for r in measured if isinstance(b := _interval(r, name), list) and len(b) == 2
        ]
        bands = [(float(step), float(b[0]), float(b[1])) for step, b in bounds if None not in b]
        shown.append(
            _chart(
                name, line, each, last, bands=bands, goal=targets(run.recipe).get(name), joined=len(line) > 2
            )
        )
    losses = [
        (float(r["step"]), float(r["loss"])) for r in run.train if isinstance(r.get("loss"), int | float)
    ]
    if len(losses) > 1:
        shown.append(_chart("training loss", downsample(smooth(losses), most=400), each, last))
    return [Columns(shown, padding=(0, 2))] if shown else []


def _chart(
    title: str,
    line: Sequence[tuple[float, float]],
    width: int,
    last: float,
    *,
    bands: Sequence[tuple[float, float, float]] = (),
    goal: float | None = None,
    joined: bool = True,
) -> RenderableType:
    rows = plot(line, width=width, height=PLOT_ROWS, bands=bands, goal=goal, last_step=last, joined=joined)
    text = Text(printable(title)[:width] + "\n", "bold", no_wrap=True, end="")
    for row in rows:
        text.append(row.label, "dim not bold")
        for piece, style in row.pieces:
            text.append(piece, f"not bold {STYLES[style]}")
        text.append("\n")
    end = f"step {last:g}"
    text.append(" " * LABEL + "0" + end.rjust(max(0, width - LABEL - 1)), "dim not bold")
    return text


def _facts(run: RunFiles, now: Eta) -> Text:
    waited = [record.get("seconds") for record in run.evals if not record.get("beside")]
    measuring = sum(one for one in waited if isinstance(one, int | float))
    share = numbers.percent(min(1.0, measuring / now.seconds)) if now.seconds else ""
    facts = [
        f"{numbers.number(round(now.tokens_per_second))} tokens/s" if now.tokens_per_second else "",
        _speed(now.step_seconds),
        f"{numbers.size(now.memory_bytes)} memory" if now.memory_bytes else "",
        f"{share} of the time in evaluations" if measuring and share else "",
        f"running for {numbers.duration(now.seconds)}" if now.seconds else "",
    ]
    return Text("   ".join(fact for fact in facts if fact), "dim")


def _speed(step_seconds: float | None) -> str:
    if not step_seconds:
        return ""
    return (
        f"{numbers.duration(step_seconds)} a step" if step_seconds >= 1 else f"{1 / step_seconds:.3g} steps/s"
    )

"""The page that compares runs: self-contained like a run's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from tunesmith import numbers
from tunesmith.metrics.table import direction
from tunesmith.report.charts.axis import Axis, tick_labels, ticks, value_axis
from tunesmith.report.compare import text
from tunesmith.report.compare.recipes import differences_of
from tunesmith.report.compare.runs import Comparison, Contrast
from tunesmith.report.page import environment, packaged

ROW, WIDTH, LEFT, RIGHT = 34, 720, 24, 696


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One metric: its heading, a drawing of the differences (empty without a test), and the table's rows."""

    metric: str
    better: str
    drawing: Markup
    rows: tuple[tuple[str, ...], ...]
    tested: bool


def render_comparison(found: Comparison) -> str:
    """The page as text; it needs no network and has no script."""
    template = environment().get_template("compare.html.j2")
    return str(
        template.render(
            style=Markup(packaged("page.css")),
            found=found,
            title=headline(found),
            blocks=[_block(found, metric) for metric in found.metrics],
            differences=differences_of([entry.recipe for entry in found.entries]),
            facts=[_facts(found, index) for index in range(len(found.entries))],
            head=text.HEAD,
        )
    )


def write_comparison(path: Path, found: Comparison) -> None:
    """Write the page, whole or not at all.

    Raises:
        UserError: if it may not be written there.
    """
    from tunesmith.checkpoint.atomic import write_text

    write_text(path, render_comparison(found))


def headline(found: Comparison) -> str:
    """What the comparison says, in one sentence."""
    metric = found.metrics[0]
    contrasts = found.contrasts.get(metric, ())
    first = found.entries[0].name
    if not contrasts:
        return f"{len(found.entries)} runs side by side"
    if len(contrasts) == 1:
        only = contrasts[0]
        p = numbers.chance_named(only.adjusted) or "not tested"
        if only.verdict not in ("better", "worse"):
            return f"No difference seen between {only.run} and {first} by {metric} ({p})"
        return f"{only.run} is {only.verdict} than {first} by {metric} ({p})"
    better = [contrast.run for contrast in contrasts if contrast.verdict == "better"]
    if not better:
        return f"None of {len(contrasts)} runs is shown to be better than {first} by {metric}"
    return f"Better than {first} by {metric}: {', '.join(better)}"


def _block(found: Comparison, metric: str) -> Block:
    contrasts = {contrast.run: contrast for contrast in found.contrasts.get(metric, ())}
    rows = []
    for entry in found.entries:
        contrast = contrasts.get(entry.name)
        told = text.contrast_cells(contrast) if contrast else ("",) * 4
        value = text.value_of(entry, metric, contrasts)
        rows.append((entry.name, value, *(told if contrasts else ())))
    return Block(
        metric=metric,
        better="more is better" if direction(metric) == "max" else "less is better",
        drawing=forest(metric, list(contrasts.values())),
        rows=tuple(rows),
        tested=bool(contrasts),
    )


def forest(metric: str, contrasts: Sequence[Contrast]) -> Markup:
    """Each run's difference as a dot on its interval, against the line of no difference."""
    if not contrasts:
        return Markup("")
    ends = [0.0]
    for contrast in contrasts:
        ends += [contrast.paired.difference, *(contrast.paired.interval or ())]
    reach = max(abs(end) for end in ends) or 1.0
    axis = value_axis([-reach, reach], start=LEFT, end=RIGHT)
    bottom = 8 + ROW * len(contrasts)
    parts = [_scale(axis, bottom)]
    parts += [_line(contrast, axis, 8 + ROW * index) for index, contrast in enumerate(contrasts)]
    summary = "; ".join(
        f"{c.run}: {numbers.signed(c.paired.difference)} ({numbers.interval(c.paired.interval)})"
        for c in contrasts
    )
    return Markup(
        f'<svg class="forest" role="img" viewBox="0 0 {WIDTH} {bottom + 26}">'
        f"<title>differences in {escape(metric)}</title><desc>{escape(summary)}</desc>{''.join(parts)}</svg>"
    )


def _scale(axis: Axis, bottom: int) -> str:
    marks = ticks(axis, count=6)
    shown = [
        f'<path class="{"zero" if mark == 0 else "grid"}" d="M{axis.pixel(mark):.1f} 4V{bottom}"/>'
        f'<text class="tick" x="{axis.pixel(mark):.1f}" y="{bottom + 18}" text-anchor="middle">{label}</text>'
        for mark, label in zip(marks, tick_labels(marks), strict=True)
    ]
    return "".join(shown)


def _line(contrast: Contrast, axis: Axis, top: int) -> str:
    low, high = contrast.paired.interval or (contrast.paired.difference,) * 2
    y = top + 24
    tone = contrast.verdict if contrast.verdict in ("better", "worse") else "even"
    return (
        f'<text class="name" x="{LEFT}" y="{top + 12}">{escape(contrast.run)}</text>'
        f'<path class="reach {tone}" d="M{axis.pixel(low):.1f} {y}H{axis.pixel(high):.1f}"/>'
        f'<circle class="{tone}" cx="{axis.pixel(contrast.paired.difference):.1f}" cy="{y}" r="5"/>'
    )


def _facts(found: Comparison, index: int) -> tuple[str, ...]:
    entry = found.entries[index]
    return (
        entry.name,
        numbers.ABSENT if entry.step is None else numbers.number(entry.step),
        numbers.duration(entry.seconds),
        numbers.number(entry.tokens),
        numbers.number(entry.trained),
        entry.status,
    )

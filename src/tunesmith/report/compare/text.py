"""A comparison of runs in words: the table that ``tunesmith compare`` prints, and the cells of its page."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith import numbers
from tunesmith.report.compare.paired import PairedRows
from tunesmith.report.compare.recipes import differences_of
from tunesmith.report.compare.runs import ComparedRun, Comparison, Contrast

HEAD = ("run", "value", "difference", "p", "effect", "")


def as_text(found: Comparison) -> str:
    """The tables of all metrics, one under the other, then what has to be known about them."""
    blocks = [_block(found, metric) for metric in found.metrics]
    notes = [f"note: {note}" for note in found.notes]
    told = [_differences(found), *(["\n".join(notes)] if notes else []), *_legend(found)]
    return "\n\n".join([*blocks, *told])


def _differences(found: Comparison) -> str:
    differing = differences_of([entry.recipe for entry in found.entries])
    table = [("key", *(entry.name for entry in found.entries)), *((key, *row) for key, row in differing.rows)]
    lines = [_aligned(table)] if differing.rows else []
    return "\n".join(["what the recipes do differently", *lines, *(f"  {t}" for t in [differing.told] if t)])


def _block(found: Comparison, metric: str) -> str:
    contrasts = {contrast.run: contrast for contrast in found.contrasts.get(metric, ())}
    over = f", on the same {found.examples:,} examples" if contrasts else ""
    rows = [HEAD if contrasts else HEAD[:2]]
    for entry in found.entries:
        contrast = contrasts.get(entry.name)
        told = contrast_cells(contrast) if contrast else ("",) * 4
        rows.append((entry.name, value_of(entry, metric, contrasts), *(told if contrasts else ())))
    return f"{metric}{over}\n{_aligned(rows)}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(f"  {line.rstrip()}" for line in lines)


def _legend(found: Comparison) -> list[str]:
    if not found.contrasts:
        return []
    several = "; p-values are adjusted for several runs (Holm)" if len(found.entries) > 2 else ""
    return [
        f"Differences are against {found.entries[0].name}, with 95 % intervals of the paired bootstrap. "
        f"Proportions are tested by McNemar's exact test, others by randomisation, two-sided{several}. "
        "An effect is small, medium or large from 0.05, 0.15 or 0.25 (g), and from 0.2, 0.5 or 0.8 (d_z)."
    ]


def value_of(entry: ComparedRun, metric: str, contrasts: dict[str, Contrast]) -> str:
    """The value on the examples compared, else what the run itself measured, with its interval."""
    value, interval = entry.metrics.get(metric), numbers.interval(entry.intervals.get(metric))
    if contrasts:
        contrast = contrasts.get(entry.name)
        some = next(iter(contrasts.values())).paired
        on_these = contrast.paired.second if contrast else some.first
        if value is None or abs(on_these - value) > 1e-4 * max(1.0, abs(value)):
            return numbers.number(on_these)
    return f"{numbers.number(value)} ({interval})" if interval else numbers.number(value)


def contrast_cells(contrast: Contrast) -> tuple[str, str, str, str]:
    """Difference with its interval, p-value, effect, and verdict."""
    paired = contrast.paired
    between = numbers.interval(paired.interval)
    difference = numbers.signed(paired.difference)
    return (
        f"{difference} ({between})" if between else difference,
        numbers.chance(contrast.adjusted),
        effect(paired),
        f"{contrast.verdict}: {contrast.why}" if contrast.why else contrast.verdict,
    )


def effect(paired: PairedRows) -> str:
    """``g +0.32: 23 better, 4 worse`` or ``d_z +0.21: 130 better, 90 worse``."""
    counts = "" if paired.better is None else f"{paired.better:,} better, {paired.worse:,} worse"
    if paired.effect is None:
        return counts or numbers.ABSENT
    size = numbers.signed(round(paired.effect, 3))
    return f"{paired.effect_name} {size}: {counts}" if counts else f"{paired.effect_name} {size}"

"""Bytes, operations and seconds as people read them. Pure."""

from __future__ import annotations


def bytes_text(count: float) -> str:
    """``1.5 GiB``: powers of 1024, as devices and tools count memory."""
    for unit, size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            value = count / size
            return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"
    return f"{count:.0f} B"


def flops_text(count: float) -> str:
    """``1.2 PFLOP``."""
    for unit, size in (("ZFLOP", 1e21), ("EFLOP", 1e18), ("PFLOP", 1e15), ("TFLOP", 1e12), ("GFLOP", 1e9)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count / 1e6:.3g} MFLOP"


def seconds_text(seconds: float) -> str:
    """``2.3 h``, ``14 min``, ``31 s``, ``12 ms``."""
    for unit, size in (("days", 2 * 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        if seconds >= size:
            return f"{seconds / (86400.0 if unit == 'days' else size):.3g} {unit}"
    return f"{seconds * 1000:.3g} ms"


def table_text(head: tuple[str, ...], rows: list[tuple[str, ...]], *, left: int = 1) -> list[str]:
    """Lines of a table; the first ``left`` columns are flush left, numbers flush right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return [
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    ]

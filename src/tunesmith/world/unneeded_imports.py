"""Packages that a library imports only to ask about them, at seconds a start."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_importing(package: str) -> Iterator[None]:
    """Let a package seem not to be installed, for whoever tries to import it meanwhile.

    One that is imported already stays, and afterwards everything may import it.
    """
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # so Python says that an import fails
    try:
        yield
    finally:
        del sys.modules[package]

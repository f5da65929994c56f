"""SHA-256 of files, and the comparison with what a recipe expects."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tunesmith.errors import UserError


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(expected: str, actual: str, what: str, where: str = "", hint: str = "") -> None:
    """Compare two hexadecimal digests.

    Raises:
        UserError: they differ, or ``expected`` is not a SHA-256.
    """
    wanted = expected.strip().lower()
    if len(wanted) != 64 or set(wanted) - set("0123456789abcdef"):
        raise UserError(
            f"`sha256: {expected}` is not a SHA-256",
            where,
            "it has 64 hexadecimal digits, as sha256sum prints",
        )
    if wanted != actual:
        raise UserError(
            f"{what} has the SHA-256 {actual}, not {wanted}",
            where,
            hint or "the bytes are not the ones that the recipe means; correct the source or the `sha256`",
        )

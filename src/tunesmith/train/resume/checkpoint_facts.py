"""What the checkpoints of a run say of it, as far as they can be read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.manifest import checkpoints


def checkpoint_states(run_dir: Path) -> Iterator[Mapping[str, Any]]:
    """The plain state in each checkpoint; one that is damaged says nothing, and is passed over."""
    for folder in checkpoints(run_dir / "checkpoints"):
        try:
            state = json.loads((folder / "state.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(state, dict):
            yield state


def whole_numbers(found: object) -> list[int]:
    """The whole numbers in what should be a list of them."""
    return [one for one in found if isinstance(one, int)] if isinstance(found, list) else []

"""Code that transformers would fetch to compute with: nothing in a model's files may ask for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from tunesmith.model.check.notice import notice

BUILT_IN = (None, "eager", "sdpa", "flex_attention", "batched_mm", "grouped_mm")
_NAMES = ("_attn_implementation_internal", "_experts_implementation_internal")


def fetch_no_kernels() -> None:
    """Keep transformers from fetching operations from the hub, where its ``kernels`` package is installed.

    It looks at the variable when it is imported, so this comes first.
    """
    os.environ.setdefault("USE_HUB_KERNELS", "NO")


def without_kernels(config: Any, name: str) -> Any:
    """The configuration, in which no part names a package to compute attention or experts with.

    What the recipe says (``model.attention``) counts; the model's files alone must not bring code.

    Args:
        config: of transformers, changed in place.
        name: of the model, for the notice.
    """
    for part in _parts(config):
        for key in _NAMES:
            wanted = getattr(part, key, None)
            if wanted not in BUILT_IN:
                notice(f"`{name}` asks to compute with `{str(wanted)[:80]}`, which is not fetched nor run")
                setattr(part, key, None)
    return config


def _parts(config: Any, depth: int = 0) -> Iterator[Any]:
    yield config
    for name in getattr(config, "sub_configs", {}) if depth < 4 else ():
        if (part := getattr(config, name, None)) is not None and not isinstance(part, dict):
            yield from _parts(part, depth + 1)

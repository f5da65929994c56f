"""Rows of translations: the texts of Home Assistant's interface, which people translate (Apache-2.0)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SOURCE = "pypi:homeassistant==2024.3.3/homeassistant/components"
SHA256 = "6e1ec2c07441d63fdcfb8acd2c4bbb6f68bc97330855784d3623d10c38fe3577"


def pairs(language: str) -> Iterator[dict[str, Any]]:
    """Each English text once, with its first translation; what is the same in both languages is left out.

    Args:
        language: of the translations, such as ``ja`` or ``de``.
    """
    from tunesmith.sources.resolve import resolve

    components = Path(str(resolve(SOURCE, sha256=SHA256, kind="dataset")))
    seen: set[str] = set()
    for english in sorted(components.glob("*/translations/en.json")):
        other = english.with_name(f"{language}.json")
        if not other.is_file():
            continue
        ours, theirs = (dict(_flat(json.loads(path.read_text("utf-8")))) for path in (english, other))
        for key, text in ours.items():
            translated = theirs.get(key, text)
            if translated != text and text not in seen:
                seen.add(text)
                yield {"english": text, "translation": translated}


def _flat(tree: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text of a tree with the keys that lead to it."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, (*path, key))
        elif str(value).strip():
            yield (*path, key), str(value)

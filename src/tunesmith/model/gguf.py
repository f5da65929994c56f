"""What a GGUF file says beside its weights, read once: its configuration and its tokenizer."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tunesmith.model.location import Location, open_location
from tunesmith.sources.cache import building, cache_folder


def config_location(location: Location) -> Location:
    """Where to read configuration and tokenizer of a model.

    Reading them out of a GGUF file takes seconds, each; so they are stored in the cache as transformers
    writes them, and read from there. Any other location is its own.

    Raises:
        UserError: if the file is not what it should be, or the cache cannot be written.
    """
    if not location.gguf:
        return location
    folder = cache_folder() / "gguf" / _key(Path(location.name) / location.options["gguf_file"])
    if not (folder / "config.json").exists():
        _store(location, folder)
    options = {name: value for name, value in location.options.items() if name != "gguf_file"}
    return replace(location, name=str(folder), options=options)


def _store(location: Location, folder: Path) -> None:
    from transformers import AutoConfig, AutoTokenizer

    config: Any = open_location(location, AutoConfig.from_pretrained)
    tokenizer: Any = open_location(location, AutoTokenizer.from_pretrained)
    with building(folder) as fresh:
        tokenizer.save_pretrained(fresh)
        config.save_pretrained(fresh)


def _key(file: Path) -> str:
    """Another file, a changed one, or another version of what reads it is read anew."""
    about = file.stat()
    text = f"{file.resolve()}\0{about.st_size}\0{about.st_mtime_ns}\0{version('transformers')}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]

"""What a run's base model is made of, as one hash: weights, configuration, tokenizer and template."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tunesmith.model.location import locate
from tunesmith.recipe.schema.model import Model
from tunesmith.sources.cache import sha256_of

_COUNT = (".safetensors", ".gguf", ".json", ".jinja", ".model", ".txt", ".py")


def base_digest(model: Model) -> str:
    """SHA-256, in hex, over every file of the base that shapes a run; of none, where nothing is brought.

    A snapshot of the hub is known by its commit, and nothing of it is read.

    Raises:
        UserError: if the source is not there.
    """
    digest = hashlib.sha256()
    template = Path(model.chat_template or "none")
    tokenizer = model.tokenizer.source if model.tokenizer is not None else None
    for source in (model.source, tokenizer if tokenizer != model.source else None):
        if source is None:
            continue
        own = source == model.source
        other = {"revision": None, "sha256": None, "trust_remote_code": False}
        location = locate(source, model if own else model.model_copy(update=other))
        if location.hub is not None:
            digest.update(_commit(location.name, location.hub.revision).encode())
            continue
        folder = Path(location.name)
        files = [folder / location.options["gguf_file"]] if location.gguf else list(_files(folder))
        for path in files:
            digest.update(f"{path.name}\0{sha256_of(path)}\0".encode())
    if "{" not in str(template) and template.is_file():
        digest.update(sha256_of(template).encode())
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.iterdir()) if path.suffix in _COUNT and path.is_file())


def _commit(name: str, revision: str | None) -> str:
    """The commit of a model in the hub's cache, else the revision that was named."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json", revision=revision)
    return Path(found).parent.name if isinstance(found, str) else str(revision)

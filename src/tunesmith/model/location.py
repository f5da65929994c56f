"""Where a model's files are, in the words that transformers understands."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tunesmith.errors import UserError
from tunesmith.model.pickles import refuse_pickled, without_pickles
from tunesmith.recipe.schema import Model
from tunesmith.sources.address import HubAddress
from tunesmith.sources.hub import explain_hub_error
from tunesmith.sources.resolve import resolve

Loaded = TypeVar("Loaded")


@dataclass(frozen=True, slots=True)
class Location:
    """A hub name or a local folder, with the keyword arguments that complete it.

    Attributes:
        name: the hub's name of the model, or the folder.
        options: ``revision``, ``gguf_file`` …, as ``from_pretrained`` takes them.
        hub: the address, if the model comes from the hub.
    """

    name: str
    options: dict[str, Any]
    hub: HubAddress | None = None

    @property
    def gguf(self) -> bool:
        """Whether the weights are one GGUF file."""
        return "gguf_file" in self.options


def locate(source: str, model: Model) -> Location:
    """Bring a source to this machine if it is not a hub's, and say how to open it.

    Whether code from the repository may run is always said: left unsaid, transformers would ask on the
    terminal. Where it may, it is that of the pinned revision, and of no other repository.

    Raises:
        UserError: if the source is not there, is no model, or has its weights in a pickle.
    """
    found = resolve(source, revision=model.revision, sha256=model.sha256, kind="model", where="model.source")
    remote: dict[str, Any] = {"trust_remote_code": model.trust_remote_code}
    if model.trust_remote_code:
        remote["code_revision"] = model.revision
    if isinstance(found, HubAddress):
        revision = {"revision": found.revision} if found.revision else {}
        return Location(found.name, {**revision, **remote}, hub=found)
    assert isinstance(found, Path)
    refuse_pickled(found)
    if found.is_file() and found.suffix == ".gguf":
        return Location(str(found.parent), {"gguf_file": found.name, **remote})
    if found.is_file():
        raise UserError(
            f"`{found.name}` is not a model", "model.source", "name the model's folder, or a .gguf file"
        )
    return Location(str(found), remote)


def open_location(location: Location, load: Callable[..., Loaded], **options: Any) -> Loaded:
    """Call a ``from_pretrained``, which gets no pickle, and turn what goes wrong into a message.

    Raises:
        UserError: if nothing is there, the hub cannot be reached, or the files are not what they should be.
    """
    from safetensors import SafetensorError

    # Else transformers takes what a robot has converted, from a revision that nobody named.
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
    try:
        with without_pickles():
            return load(location.name, **location.options, **options)
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
        if "custom code" in str(error) or "trust_remote_code" in str(error):
            raise _brings_code(location) from error
        if location.hub is not None:
            raise explain_hub_error(error, location.hub) from error
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"`{location.name}` does not load: {lines[0]}",
            "model.source",
            "the folder must hold config.json, safetensors and tokenizer files as transformers saves them",
        ) from error


def _brings_code(location: Location) -> UserError:
    return UserError(
        f"`{location.name}` brings code of its own, which is not run",
        "model.source",
        "choose an architecture that transformers has; code from the hub runs with `model.trust_remote_code: "
        "true` and `model.revision`, the commit that you have read",
    )

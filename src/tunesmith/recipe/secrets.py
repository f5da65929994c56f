"""What looks like a secret: a recipe is copied into run folders and repositories, so none may stand in it."""

from __future__ import annotations

import re

_VALUE = re.compile(
    r"""\b(?:hf_[A-Za-z0-9]{16,}          # model hub
        | sk-[A-Za-z0-9_-]{16,}           # several model providers
        | AKIA[0-9A-Z]{16}                # cloud access key
        | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,} | glpat-[\w-]{16,}
        | xox[abprs]-[A-Za-z0-9-]{10,})
      | -----BEGIN\ [A-Z ]{0,20}PRIVATE\ KEY-----
      | (?<=://)[^\s/:@]{1,64}:[^\s/:@]{1,128}(?=@)   # a password in a URL
    """,
    re.VERBOSE,
)
_KEY = re.compile(
    r"(?:.*[_-])?(?:password|passwd|secret|credentials?|(?:api|access|secret|private)[_-]?key)"
    r"|(?:(?:hf|hub|auth|access|api|bearer|github|wandb|secret)[_-])?token",
    re.IGNORECASE,
)


def is_secret_value(text: str) -> bool:
    """Whether a value has the shape of a key, a token, or a URL with a password."""
    return _VALUE.search(text) is not None


def is_secret_key(name: str) -> bool:
    """Whether a key's name says that its value is a secret (``pad_token`` and ``max_tokens`` do not)."""
    return len(name) <= 64 and _KEY.fullmatch(name) is not None


def mask(text: str) -> str:
    """The text with everything that looks like a secret blotted out, for messages."""
    return _VALUE.sub("********", text)

"""What looks like a secret, and the one way to blot it out of whatever a run says or writes.

Two kinds are known: what has the shape of a secret (a token with its maker's prefix, a password in a URL, a
private key), and the values of this process's environment variables whose names say so (``HF_TOKEN``,
``DB_PASSWORD``), whatever shape they have.
"""

from __future__ import annotations

import html
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

BLOT = "********"
_SHORTEST = 8
"""Characters; a shorter value of an environment variable stands in too much text by chance."""

# Text is anybody's, and of any length: no pattern here may look at one stretch of it again and again. So each
# begins where a stretch begins, takes all of it, or is bounded; a second look is a function's.
_SHAPE = re.compile(
    r"""\b(?:hf_[A-Za-z0-9]{16,} | api_org_[A-Za-z0-9]{16,}      # model hub
        | (?:gsk|r8|npm)_[A-Za-z0-9]{30,}
        | nvapi-[\w-]{20,}
        | (?:AKIA|ASIA)[0-9A-Z]{16}\b | AIza[\w-]{35} | ya29\.[\w-]{20,}   # clouds
        | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,} | gl(?:pat|dt|rt|cbt|ptt)-[\w-]{16,}
        | xox[abeoprs]-[A-Za-z0-9-]{10,} | pypi-AgEI[\w-]{30,} | dckr_pat_[\w-]{16,} | wandb_v\d_\w{20,}
        | SG\.[\w-]{16,}\.[\w-]{16,})
      | -----BEGIN\ [A-Z ]{0,20}PRIVATE\ KEY-----(?:.*?-----END\ [A-Z ]{0,20}PRIVATE\ KEY-----|.*)
      | (?<=://)[^\s/:@]{0,64}:[^\s/]{1,256}(?=@)        # user and password in a URL
      | (?<=https:[/]{2})[\w.~%-]{16,256}(?=@)               # a token alone in its place
      | (?<=\b[Bb]earer\ )(?=[\w.~+/=-]*\d)[\w.~+/=-]{12,}
      | (?<=\b[Bb]asic\ )(?=[\w+/=]*\d)[\w+/=]{12,}
    """,
    re.VERBOSE | re.DOTALL,
)
_MAKERS = re.compile(r"\bsk-[\w-]{16,}")
"""What many makers of models begin their keys with; names of runs begin so too, see ``_is_key``."""

_SECOND_MARK = re.compile(r"(?:proj|ant|svcacct|admin|or-v\d|live)-(?:api\d\d-)?\w{16}")
"""What makers write behind ``sk-`` before a key."""

_WEB_TOKEN = re.compile(r"(?<![\w-])(?P<head>[\w-]+)\.eyJ[\w-]{8,}(?:\.[\w-]*)?")
_HEADER = re.compile(r"\beyJ[\w-]{8}")
_PAIR = re.compile(
    r"""(?P<name>password|passwd|passphrase|secret|credential|token|signature|\bsig|auth
        |(?:api|access|secret|private|account|service)[_-]?key(?:[_-]?id)?)
        (?:=|%3D|["']\s*:\s*)["']? (?P<value>[^\s"'&,;<>\\]{6,})""",
    re.VERBOSE | re.IGNORECASE,
)
_SETTING = re.compile(r"""(?P<name>[\w-]{1,64})["']?\s*[:=]\s*["']?(?P<value>[^\s"',{}\[\]]+)""")
_UNPREFIXED = re.compile(r"(?<![\w/+.-])[A-Za-z0-9/+]{40}(?![\w/+=.-])")
"""The shape of a cloud's secret key, which nothing announces."""

_KEY = re.compile(
    r"(?:.*[_-])?(?:password|passwd|passphrase|secret|credentials?"
    r"|(?:api|access|secret|private|account)[_-]?key(?:[_-]?id)?)"
    r"|(?:(?:hf|hub|auth|access|api|bearer|github|wandb|secret|session|refresh|id)[_-])?token",
    re.IGNORECASE,
)
_LIKELY_KEY = re.compile(r"(?:.*[_-])?(?:token|key|auth|pat|cookie|dsn|pin)", re.IGNORECASE)
_VARIABLE = re.compile(
    r"tokens?|jwt|secrets?|password|passwd|passphrase|pass|credentials?|auth|pat|dsn|cookie|keys?|apikey"
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_IN_URL = re.compile(r"://[^\s/:@]*:([^\s/]+)@|https:[/]{2}([^\s/:@]{16,})@")


def is_secret_value(text: str) -> bool:
    """Whether a value has the shape of a key, a token, or a URL with a password."""
    return len(text) >= _SHORTEST and (
        _SHAPE.search(text) is not None
        or any(_is_key(found[0]) for found in _MAKERS.finditer(text))
        or any(_HEADER.search(found["head"]) for found in _WEB_TOKEN.finditer(text))
        or any(_is_random(found[0]) for found in _UNPREFIXED.finditer(text))
        or any(_tells(found) for found in _PAIR.finditer(text))
    )


def is_secret_key(name: str, value: str | None = None) -> bool:
    """Whether a key's name says that its value is a secret (``pad_token`` and ``max_tokens`` do not).

    Args:
        name: the key.
        value: its value, if that may help: under a name such as ``service_key``, which alone says little,
            what looks as if drawn by lot is a secret.
    """
    if len(name) > 64:
        return False
    if _KEY.fullmatch(name) is not None:
        return True
    return value is not None and _LIKELY_KEY.fullmatch(name) is not None and _looks_drawn(value)


def redact(text: str, environ: Mapping[str, str] | None = None) -> str:
    """The text with everything that is or looks like a secret blotted out.

    Args:
        text: anything that leaves the process: a message, a line of a log, the text of a file.
        environ: where secrets come from; default: this process's environment.
    """
    return _redact(text, secret_values(os.environ if environ is None else environ))


def redact_settings(text: str) -> str:
    """A piece of a recipe, redacted: there ``password: word`` gives a secret away; in prose it does not."""

    def blotted(found: re.Match[str]) -> str:
        return _blotted(found) if is_secret_key(found["name"], found["value"]) else found[0]

    return _SETTING.sub(blotted, redact(text))


def redact_deep(value: Any) -> Any:
    """A structure of mappings, lists and plain values with every text in it redacted."""
    return _redact_deep(value, secret_values(os.environ))


def _redact(text: str, known: Sequence[str]) -> str:
    if len(text) < _SHORTEST:
        return text
    for value in known:
        if value in text:
            text = text.replace(value, BLOT)
    text = _SHAPE.sub(BLOT, text)
    text = _MAKERS.sub(lambda found: BLOT if _is_key(found[0]) else found[0], text)
    text = _WEB_TOKEN.sub(_without_token, text)
    text = _PAIR.sub(lambda found: _blotted(found) if _tells(found) else found[0], text)
    return _UNPREFIXED.sub(lambda found: BLOT if _is_random(found[0]) else found[0], text)


def _redact_deep(value: Any, known: Sequence[str]) -> Any:
    if isinstance(value, str):
        return _redact(value, known)
    if isinstance(value, Mapping):
        return {
            _redact(key, known) if isinstance(key, str) else key: _redact_under(str(key), item, known)
            for key, item in value.items()
        }
    return [_redact_deep(item, known) for item in value] if isinstance(value, list | tuple) else value


def _redact_under(key: str, value: Any, known: Sequence[str]) -> Any:
    named = isinstance(value, str) and value != "" and is_secret_key(key, value)
    return BLOT if named else _redact_deep(value, known)


def secret_values(environ: Mapping[str, str]) -> list[str]:
    """The secrets among the environment's values, in every spelling that may be met; longest first."""
    found: set[str] = set()
    for name, value in environ.items():
        if "://" in value:
            for in_url in _IN_URL.finditer(value):
                found |= set(_spellings(in_url[1] or in_url[2]))
        if (
            len(value) >= _SHORTEST
            and any(map(_VARIABLE.fullmatch, name.lower().split("_")))
            and not _is_path(value)
        ):
            found |= set(_spellings(value))
    return sorted(found, key=len, reverse=True)


def _spellings(value: str) -> Iterator[str]:
    if len(value) >= _SHORTEST:
        yield from (value, quote(value, safe=""), json.dumps(value)[1:-1], html.escape(value), value.strip())


def _is_path(value: str) -> bool:
    """A file that holds a secret may be named; so may a folder."""
    return value[0] in "/~." and len(value) < 4096 and os.path.exists(os.path.expanduser(value))


def _tells(found: re.Match[str]) -> bool:
    """Whether ``name=value`` in running text gives a secret away, and not ``pad_token=<pad>``."""
    name, value = found["name"].lower(), found["value"]
    weak = name in ("token", "signature", "sig", "auth", "secret", "credential")
    return value != BLOT and (_looks_drawn(value) if weak else not value.startswith(("{", "$", "*")))


def _blotted(found: re.Match[str]) -> str:
    start = found.start("value") - found.start()
    return found[0][:start] + BLOT


def _looks_drawn(value: str) -> bool:
    """Whether a word looks as if drawn by lot: long, without blanks, letters and digits mixed."""
    return (
        len(value) >= 12
        and re.fullmatch(r"[\w.~+/=-]+", value) is not None
        and re.search(r"\d", value) is not None
        and re.search(r"[A-Za-z]", value) is not None
    )


def _is_key(word: str) -> bool:
    """Whether ``sk-…`` is a key, drawn by lot in a long part or as a whole, and no name of a run."""
    rest = word[3:]
    if _SECOND_MARK.match(rest):
        return True
    parts = (part for part in re.split(r"[_-]", rest) if len(part) >= 16)
    whole = len(rest) >= 32 and _is_random(rest)
    return whole or any(map(_looks_drawn, parts)) or _UUID.search(rest) is not None


def _without_token(found: re.Match[str]) -> str:
    """Three parts between dots, of which two begin as JSON does in base 64."""
    header = _HEADER.search(found["head"])
    return found["head"][: header.start()] + BLOT if header else found[0]


def _is_random(word: str) -> bool:
    """Capitals, small letters and digits, with more bits a character than a path or a name has."""
    kinds = (str.isupper, str.islower, str.isdigit)
    if not all(any(kind(letter) for letter in word) for kind in kinds):
        return False
    shares = [count / len(word) for count in Counter(word).values()]
    return -sum(share * math.log2(share) for share in shares) >= 4.4

"""One question to a model behind an OpenAI-compatible endpoint, and its answer, within bounds."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from tunesmith.redact import redact

LARGEST = 1 << 20
"""Bytes of an answer that are read."""
_FOR_A_WHILE = frozenset({408, 409, 425, 429, *range(500, 600)})
_LONGEST_PAUSE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a model answers.

    Attributes:
        url: up to and with ``/v1``.
        model: its name there.
        key_env: environment variable with the key, if one is needed.
        timeout: seconds for one answer, from the first byte sent to the last received.
        retries: further attempts after a failure that may pass.
    """

    url: str
    model: str
    key_env: str | None = None
    timeout: float = 60.0
    retries: int = 2


class NoAnswer(Exception):
    """There was no answer that can be used; ``lasting`` if asking again would not help."""

    def __init__(self, what: str, *, lasting: bool = False) -> None:
        super().__init__(redact(" ".join(what.split())[:300]))
        self.lasting = lasting


class _Stay(HTTPRedirectHandler):
    """Follows no redirection: the key is for this address alone."""

    def redirect_request(self, *_: Any) -> None:
        return None


def ask(endpoint: Endpoint, prompt: str, *, pause: float = 0.5) -> str:
    """The model's answer to one prompt, drawn without chance.

    Args:
        endpoint: where.
        prompt: what the user says.
        pause: seconds before the first further attempt; it doubles.

    Raises:
        NoAnswer: after the last attempt.
    """
    attempt = 0
    while True:
        try:
            return _once(endpoint, prompt)
        except NoAnswer as problem:
            if problem.lasting or attempt >= endpoint.retries:
                raise
        time.sleep(min(pause * 2**attempt, _LONGEST_PAUSE))
        attempt += 1


def _once(endpoint: Endpoint, prompt: str) -> str:
    content = {
        "model": endpoint.model,
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
        "stream": False,
    }
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    key = os.environ.get(endpoint.key_env) if endpoint.key_env is not None else None
    if key:
        headers["Authorization"] = f"Bearer {key}"
    url = f"{endpoint.url.rstrip('/')}/chat/completions"
    request = Request(url, json.dumps(content).encode(), headers, method="POST")
    ends = time.monotonic() + endpoint.timeout
    try:
        with build_opener(_Stay).open(request, timeout=endpoint.timeout) as reply:
            return _text_of(_read(reply, ends))
    except HTTPError as error:
        said = error.read(300).decode("utf-8", "replace")
        raise NoAnswer(f"HTTP {error.code}: {said}", lasting=error.code not in _FOR_A_WHILE) from error
    except (OSError, HTTPException, ValueError) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from error


def _read(reply: Any, ends: float) -> bytes:
    """The whole body; one that comes in drops has no more time than another."""
    parts, size = [], 0
    while part := reply.read1(65536):
        parts.append(part)
        size += len(part)
        if size > LARGEST:
            raise NoAnswer(f"an answer of more than {LARGEST >> 20} MiB", lasting=True)
        if time.monotonic() > ends:
            raise NoAnswer("the answer took too long")
    wanted = reply.headers.get("Content-Length")
    if wanted is not None and wanted.isdecimal() and size < int(wanted):
        raise NoAnswer(f"the answer ends after {size} of {wanted} bytes")
    return b"".join(parts)


def _text_of(body: bytes) -> str:
    try:
        found = json.loads(body)
        text = found["choices"][0]["message"]["content"]
    except (ValueError, RecursionError):
        raise NoAnswer(f"the answer is not JSON: {body[:80]!r}") from None
    except (KeyError, IndexError, TypeError):
        raise NoAnswer(f"the answer has no `choices[0].message.content`: {body[:120]!r}") from None
    if not isinstance(text, str):
        raise NoAnswer("`choices[0].message.content` is not text")
    return text

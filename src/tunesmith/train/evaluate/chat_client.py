"""One question to a model behind an OpenAI-compatible endpoint, and its answer, within bounds."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from tunesmith.redact import redact

LARGEST = 1 << 20
"""Bytes of an answer that are read."""
_FOR_A_WHILE = frozenset({408, 409, 425, 429, *range(500, 600)})
_LONGEST_PAUSE = 10.0
_LOOK = 0.1


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


@dataclass(slots=True)
class _Attempt:
    """One attempt, made in a thread of its own, as the thread that waits for it sees it.

    Attributes:
        text: of the answer.
        problem: why there is none.
        status: of HTTP, as soon as it is known.
        connections: that were opened for it.
        over: whether it has come to its end.
    """

    text: str = ""
    problem: BaseException | None = None
    status: str = ""
    connections: list[HTTPConnection] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def make(self, endpoint: Endpoint, prompt: str) -> None:
        """Ask, and remember how it ended."""
        try:
            self.text = _once(endpoint, prompt, self)
        except BaseException as problem:
            self.problem = problem
        self.over.set()

    def give_up(self) -> None:
        """Close what is open, so that the thread does not wait either."""
        for connection in self.connections:
            with suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)


class _Plain(HTTPHandler):
    """Remembers its connections."""

    def __init__(self, attempt: _Attempt) -> None:
        super().__init__()
        self._attempt = attempt

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(_remembering(HTTPConnection, self._attempt), req)


class _Encrypted(HTTPSHandler):
    """Remembers its connections."""

    def __init__(self, attempt: _Attempt) -> None:
        super().__init__()
        self._attempt = attempt

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(_remembering(HTTPSConnection, self._attempt), req)


def _remembering(kind: type[HTTPConnection], attempt: _Attempt) -> Any:
    def connect(*arguments: Any, **options: Any) -> HTTPConnection:
        attempt.connections.append(kind(*arguments, **options))
        return attempt.connections[-1]

    return connect


def complete(
    endpoint: Endpoint, prompt: str, *, pause: float = 0.5, given_up: Callable[[], bool] = lambda: False
) -> str:
    """The model's answer to one prompt, drawn without chance.

    Args:
        endpoint: where.
        prompt: what the user says.
        pause: seconds before the first further attempt; it doubles.
        given_up: whether nobody wants the answer any more.

    Raises:
        NoAnswer: after the last attempt, or when it is given up.
    """
    attempt = 0
    while True:
        try:
            return _within_time(endpoint, prompt, given_up)
        except NoAnswer as problem:
            if problem.lasting or attempt >= endpoint.retries:
                raise
        again = time.monotonic() + min(pause * 2**attempt, _LONGEST_PAUSE)
        while (left := again - time.monotonic()) > 0 and not given_up():
            time.sleep(min(left, _LOOK))
        attempt += 1


def _within_time(endpoint: Endpoint, prompt: str, given_up: Callable[[], bool]) -> str:
    """Make one attempt, and wait no longer for all of it than for one answer.

    A bound of each read alone would let a server that sends a byte now and then hold the run for ever, and
    there is none at all for finding a name's address.
    """
    attempt = _Attempt()
    threading.Thread(target=attempt.make, args=(endpoint, prompt), name="judge", daemon=True).start()
    ends = time.monotonic() + endpoint.timeout
    while not attempt.over.wait(_LOOK) and time.monotonic() < ends and not given_up():
        pass
    if not attempt.over.is_set():
        attempt.give_up()
        if given_up():
            raise NoAnswer("given up", lasting=True)
        told = f", after {attempt.status}" if attempt.status else ""
        raise NoAnswer(f"timed out: the answer took too long, more than {endpoint.timeout:g} s{told}")
    if attempt.problem is not None:
        raise attempt.problem
    return attempt.text


def _once(endpoint: Endpoint, prompt: str, attempt: _Attempt) -> str:
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
        opener = build_opener(_Stay, _Plain(attempt), _Encrypted(attempt))
        with opener.open(request, timeout=endpoint.timeout) as reply:
            return _text_of(_read(reply, ends))
    except HTTPError as error:
        attempt.status = f"HTTP {error.code}"
        said = _said(error)
        raise NoAnswer(f"HTTP {error.code}: {said}", lasting=error.code not in _FOR_A_WHILE) from error
    except (OSError, HTTPException, ValueError) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from error


def _said(error: HTTPError) -> str:
    """The words beside a status; to read them may fail as well."""
    try:
        return error.read(300).decode("utf-8", "replace")
    except (OSError, HTTPException, ValueError) as further:
        return f"(its text could not be read: {type(further).__name__})"


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

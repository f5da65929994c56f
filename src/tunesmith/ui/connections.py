"""The page's connections: so many and no more, so that idle ones cannot use up the process's descriptors."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

MOST_CONNECTIONS = 64
"""A browser opens six; each needs a thread and a descriptor, of which a process often has 1024."""


class Connections:
    """Who is connected, and who of them is only waited for: nothing, or half a request, has come from there.

    Args:
        most: connections at a time.
    """

    def __init__(self, most: int = MOST_CONNECTIONS) -> None:
        self._most, self._lock = most, threading.Lock()
        self._open: set[socket.socket] = set()
        self._waiting: dict[socket.socket, None] = {}  # longest first

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, one: socket.socket) -> bool:
        """Let a connection in, in the place of the one that was waited for longest where there are too many.

        Returns:
            Whether there was a place.
        """
        with self._lock:
            if len(self._open) >= self._most:
                longest = next(iter(self._waiting), None)
                if longest is None:
                    return False
                self._forget(longest)
                with suppress(OSError):
                    longest.shutdown(socket.SHUT_RDWR)  # its thread sees the end and closes it
            self._open.add(one)
            self._waiting[one] = None
            return True

    def waits(self, one: socket.socket) -> None:
        """A request from here is waited for, from now on."""
        with self._lock:
            if one in self._open:
                self._waiting.pop(one, None)
                self._waiting[one] = None

    def asks(self, one: socket.socket) -> None:
        """A whole request has come from here, and is being answered."""
        with self._lock:
            self._waiting.pop(one, None)

    def ends(self, one: socket.socket) -> None:
        """It is closed."""
        with self._lock:
            self._forget(one)

    def _forget(self, one: socket.socket) -> None:
        self._open.discard(one)
        self._waiting.pop(one, None)

"""Who may see the page: whoever has the token, which is printed where the server was started."""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one server.

    Attributes:
        token: what a visitor must know; ``None`` lets everyone in who reaches the address.
        port: part of the cookie's name, since browsers give cookies to every port of a host.
    """

    token: str | None
    port: int

    @property
    def cookie(self) -> str:
        """Name of the cookie that holds the token."""
        return f"tunesmith_{self.port}"

    def knows(self, given: str | None) -> bool:
        """Whether a token is the right one; how long the answer takes tells nothing of how near it is."""
        if self.token is None:
            return True
        return hmac.compare_digest((given or "").encode("utf-8", "replace"), self.token.encode())

    def admits(self, cookie_header: str | None, host_header: str | None) -> bool:
        """Whether a request may be answered.

        Without a token only requests that name this machine are: a page elsewhere may let its own name
        point to this address, and would be let in otherwise.
        """
        if self.token is None:
            return is_loopback_name(host_header or "")
        return self.knows(_cookie(cookie_header, self.cookie))

    def set_cookie(self) -> str:
        """The header that lets a browser keep the token, out of reach for scripts and for other sites."""
        return f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Lax"


def is_loopback_name(host_header: str) -> bool:
    """Whether a ``Host`` header, port aside, names this machine itself."""
    name, _, port = host_header.rpartition(":")
    if not name or port.endswith("]"):
        name = host_header
    return name.lower() in LOOPBACK_NAMES


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _cookie(header: str | None, name: str) -> str | None:
    try:
        found = SimpleCookie(header or "").get(name)
    except CookieError:
        return None
    return found.value if found else None

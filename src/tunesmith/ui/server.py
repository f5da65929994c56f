"""The server of the page: it answers GET, from packaged files and the runs on the shelf, and nothing else."""

from __future__ import annotations

import gzip
import json
import socket
import socketserver
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources as package_files
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tunesmith.checkpoint.atomic import finite
from tunesmith.errors import UserError
from tunesmith.live.tail import FilePosition
from tunesmith.ui.access import Access
from tunesmith.ui.connections import Connections
from tunesmith.ui.curve import curve
from tunesmith.ui.run_index import RunIndex

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
PACKAGED = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/app.css": ("app.css", "text/css; charset=utf-8"),
}
MOST_COMPARED = 8
NEEDS_TOKEN = "This page needs the whole address that `tunesmith ui` printed, with its token.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the server serves: the runs, who may see them, and a word that is new with each start."""

    shelf: RunIndex
    access: Access
    boot: str = field(default_factory=lambda: token_hex(4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response: status, body, its type, and headers of its own."""

    body: bytes
    kind: str = "text/plain; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


class Server(ThreadingHTTPServer):
    """Listens on an address; ``serve_forever`` answers, each browser in a thread of its own.

    Raises:
        UserError: if the address is in use or not this machine's.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, root: Path, host: str, port: int, token: str | None) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), Handler)
        except (OSError, OverflowError) as problem:
            raise UserError(
                f"cannot listen on {host}, port {port}: {problem}",
                hint="choose another `--port`; 0 takes a free one",
            ) from problem
        self.connections = Connections()
        self.site = Site(shelf=RunIndex(root), access=Access(token, self.server_address[1]))

    def server_bind(self) -> None:
        """Bind without asking a name server what this machine is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread of its own, if there is a place for it."""
        if self.connections.admit(request):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self.connections.ends(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that has gone elsewhere."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection of a browser."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "tunesmith", ""
    timeout = 30

    def handle_one_request(self) -> None:
        """Wait for one request and answer it."""
        assert isinstance(self.server, Server)
        self.server.connections.waits(self.connection)
        super().handle_one_request()

    def do_GET(self) -> None:
        """Answer a request for a page, a file of the page, or data."""
        assert isinstance(self.server, Server)
        self.server.connections.asks(self.connection)
        try:
            answer = respond(
                self.server.site, self.path, self.headers.get("Cookie"), self.headers.get("Host")
            )
        except UserError as error:
            answer = Response(body=f"{error}\n".encode(), status=HTTPStatus.UNPROCESSABLE_ENTITY)
        except Exception as error:
            print(f"tunesmith ui: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            answer = Response(body=b"this could not be shown\n", status=HTTPStatus.INTERNAL_SERVER_ERROR)
        self._send(answer)

    do_HEAD = do_GET

    def _send(self, answer: Response) -> None:
        body = answer.body
        packed = len(body) > 2048 and "gzip" in self.headers.get("Accept-Encoding", "")
        if packed:
            body = gzip.compress(body, 1)
        self.send_response(answer.status)
        own = {"Content-Type": answer.kind, "Content-Length": str(len(body)), **HEADERS}
        own |= {"Content-Encoding": "gzip"} if packed else {}
        for name, value in ({"Content-Security-Policy": POLICY} | own | dict(answer.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            try:
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the browser has gone elsewhere

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: addresses hold the token, and the terminal belongs to the user."""


def respond(site: Site, target: str, cookies: str | None, host: str | None) -> Response:
    """The answer to a GET request.

    Args:
        site: what is served.
        target: path and query as they were sent.
        cookies: the ``Cookie`` header.
        host: the ``Host`` header.

    Raises:
        UserError: where a run cannot be shown; its text is meant for the visitor.
    """
    url = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    if url.path == "/" and "token" in query and site.access.knows(query["token"]):
        headers = {"Location": "/"} | ({"Set-Cookie": site.access.set_cookie()} if site.access.token else {})
        return Response(body=b"", status=HTTPStatus.SEE_OTHER, headers=headers)
    if not site.access.admits(cookies, host):
        return Response(body=NEEDS_TOKEN.encode(), status=HTTPStatus.UNAUTHORIZED)
    if url.path in PACKAGED:
        name, kind = PACKAGED[url.path]
        return Response(body=package_files.files("tunesmith.ui").joinpath(name).read_bytes(), kind=kind)
    if url.path == "/api/runs":
        return _runs(site, query)
    if url.path == "/api/curve":
        return _curve(site, query)
    if url.path.startswith("/report/"):
        return _report(site, url.path.removeprefix("/report/"))
    if url.path == "/api/recipes":
        return _recipes(site, query)
    if url.path == "/compare":
        return _compare(site, query)
    return _nothing("there is no such page")


def _nothing(why: str) -> Response:
    return Response(body=f"{why}\n".encode(), status=HTTPStatus.NOT_FOUND)


def _json(value: Any) -> Response:
    body = json.dumps(finite(value), allow_nan=False, separators=(",", ":")).encode()
    return Response(body=body, kind="application/json")


def _runs(site: Site, query: Mapping[str, str]) -> Response:
    after = _whole(query.get("after")) if query.get("boot") == site.boot else 0
    return _json(
        {"boot": site.boot, "root": str(site.shelf.root), "all": after == 0, **site.shelf.changes(after)}
    )


def _curve(site: Site, query: Mapping[str, str]) -> Response:
    run_dir = site.shelf.find(query.get("id", ""))
    if run_dir is None:
        return _nothing("there is no such run")
    return _json(curve(run_dir, FilePosition(_whole(query.get("inode")), _whole(query.get("offset")))))


def _report(site: Site, rest: str) -> Response:
    """A run's report as it would be written now; ``ID/NAME/report.html`` is that of a variant."""
    from tunesmith.report.page import policy, render_page

    key, _, inner = rest.partition("/")
    run_dir = site.shelf.find(key)
    if run_dir is not None and inner not in ("", "report.html"):
        run_dir = site.shelf.below(run_dir, unquote(inner).removesuffix("/report.html"))
    if run_dir is None:
        return _nothing("there is no such run")
    return _page(render_page(run_dir), policy())


def _recipes(site: Site, query: Mapping[str, str]) -> Response:
    """What the recipes of several runs do differently."""
    from tunesmith.report.compare.recipes import differences_of
    from tunesmith.report.run_files import read_facts

    found = [site.shelf.find(key) for key in query.get("ids", "").split(",")[:MOST_COMPARED]]
    run_dirs = [run_dir for run_dir in found if run_dir is not None]
    if len(run_dirs) < len(found):
        return _nothing("one of these runs is not there")
    differing = differences_of([read_facts(run_dir).recipe for run_dir in run_dirs])
    return _json({"rows": differing.rows, "told": differing.told})


def _compare(site: Site, query: Mapping[str, str]) -> Response:
    from tunesmith.report.compare.page import render_comparison
    from tunesmith.report.compare.runs import compare_runs
    from tunesmith.report.page import policy

    found = [site.shelf.find(key) for key in query.get("ids", "").split(",")[:MOST_COMPARED]]
    run_dirs = [run_dir for run_dir in found if run_dir is not None]
    if len(run_dirs) < len(found):
        return _nothing("one of these runs is not there")
    return _page(render_comparison(compare_runs(run_dirs, query.get("metric"))), policy())


def _page(text: str, rules: str) -> Response:
    """A page with text of runs in it: shut off from this one, in case that its own rules should ever fail."""
    headers = {"Content-Security-Policy": f"{rules}; frame-ancestors 'none'; sandbox allow-scripts"}
    return Response(body=text.encode("utf-8", "replace"), kind="text/html; charset=utf-8", headers=headers)


def _whole(text: str | None) -> int:
    """A whole number up to 2⁶³ from a query, else 0."""
    return min(int(text), 2**63) if text and text.isascii() and text.isdigit() and len(text) < 20 else 0

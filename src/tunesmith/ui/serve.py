"""``tunesmith ui``: start the server, print its address, and serve until it is interrupted."""

from __future__ import annotations

import os
import secrets
import sys
import threading
from pathlib import Path
from urllib.parse import urlunsplit

from tunesmith.errors import UserError
from tunesmith.ui.access import is_loopback
from tunesmith.ui.server import Server


def serve(root: Path, *, host: str = "127.0.0.1", port: int = 0, with_token: bool = True) -> None:
    """Serve the runs below a folder until Ctrl-C.

    Args:
        root: a folder with run directories in it, at any depth; or one run directory.
        host: address to listen on; by default this machine alone can reach it.
        port: 0 takes a free one.
        with_token: whether visitors need the token that is in the printed address.

    Raises:
        UserError: if there is no such folder, if the address cannot be used, or if everyone in the network
            could look without a token.
    """
    if not root.is_dir():
        raise UserError(
            f"there is no folder `{root}`", hint="give the folder that run directories lie in, e.g. `runs`"
        )
    if not with_token and not is_loopback(host):
        raise UserError(
            f"`--no-token` on {host} would show these runs to everyone who reaches this machine",
            hint="leave out `--no-token`, or leave out `--host` and reach the page through an ssh tunnel",
        )
    token = secrets.token_urlsafe(24) if with_token else None
    server = Server(root.resolve(), host, port, token)
    try:
        with server:
            # The runs are read while the user still reads the address.
            threading.Thread(target=server.site.shelf.changes, args=(0,), daemon=True).start()
            print("Ctrl-C ends it; runs go on.", file=sys.stderr, flush=True)
            _announce(f"runs of {root}: {address(host, server.server_address[1], token)}\n")
            server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        print(file=sys.stderr)


def _announce(line: str) -> None:
    """Write the one line that is meant to hold a secret, past the filter that blots secrets out."""
    sys.stdout.flush()
    os.write(sys.stdout.fileno(), line.encode("utf-8", "replace"))


def address(host: str, port: int, token: str | None) -> str:
    """What to open in a browser."""
    shown = f"[{host}]" if ":" in host else host
    return urlunsplit(("http", f"{shown}:{port}", "/", f"token={token}" if token else "", ""))

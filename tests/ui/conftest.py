"""A real server over runs that lie there, and over ones that go on."""

import importlib.util
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from types import ModuleType

import pytest

from tunesmith.ui.server import Server

TESTS = Path(__file__).parents[1]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


written = load(TESTS / "report" / "conftest.py")
lived = load(TESTS / "live" / "conftest.py")
write, until = lived.write, lived.until
HOSTILE = written.HOSTILE


@pytest.fixture
def runs(tmp_path) -> Path:
    """Three finished runs, variants, and things that are no runs."""
    root = tmp_path / "runs"
    for name, metric in (("first", "exact_match"), ("second", "exact_match"), ("deep/er/third", "accuracy")):
        written.write_run(root / name, steps=40, every=10, metric=metric)
    written.write_variants(root / "three ways & more")
    (root / "notes").mkdir()
    (root / "notes" / "secret.txt").write_text("secret")
    (root / "first" / "checkpoints" / "step-1").mkdir(parents=True)
    (root / "first" / "checkpoints" / "step-1" / "recipe.yaml").write_text("task: causal-lm")
    return root


@pytest.fixture
def make_run(tmp_path) -> Callable[..., Path]:
    return written.write_run


@dataclass(frozen=True)
class Visitor:
    """Asks a server, with or without what opens the door."""

    server: Server
    token: str | None

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.server.server_address[1]

    @property
    def url(self) -> str:
        port = self.server.server_address[1]
        return f"http://127.0.0.1:{port}/"

    @property
    def cookie(self) -> str:
        return f"{self.server.site.access.cookie}={self.token}"

    def ask(self, target: str, *, method: str = "GET", known: bool = True, **headers: str) -> HTTPResponse:
        connection = HTTPConnection(*self.address, timeout=30)
        own = {"Cookie": self.cookie} if known and self.token else {}
        connection.request(method, target, headers=own | headers)
        answer = connection.getresponse()
        answer.text = answer.read().decode("utf-8", "replace")
        connection.close()
        return answer

    def json(self, target: str):
        answer = self.ask(target)
        assert answer.status == 200, answer.text
        return json.loads(answer.text)

    def ids(self) -> dict[str, str]:
        return {run["name"]: run["id"] for run in self.json("/api/runs")["runs"]}


@pytest.fixture
def open_site() -> Iterator[Callable[..., Visitor]]:
    servers: list[Server] = []

    def start(root: Path, token: str | None = "the-token") -> Visitor:
        server = Server(root, "127.0.0.1", 0, token)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return Visitor(server, token)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def site(runs, open_site) -> Visitor:
    return open_site(runs)

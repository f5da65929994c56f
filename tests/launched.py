"""Real runs and commands for the tests: processes of their own, started in no time by ``fork_server.py``.

A plugin, so that every room has it; ``tests/conftest.py`` loads it.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

SMOKE = Path(__file__).parents[1] / "recipes" / "smoke"
PATIENCE = 120.0
ENVIRON = dict(os.environ)
"""As it was before the first test: what a test leaves behind in it is not for runs that others start."""


@dataclass
class Process:
    """One process of a run, under way or ended."""

    folder: Path

    def _read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    @property
    def out(self) -> str:
        return self._read("out")

    @property
    def err(self) -> str:
        return self._read("err")

    @property
    def status(self) -> int | None:
        text = self._read("status")
        return int(text) if text else None

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        pid = int(until(lambda: self._read("pid"), "the process to start"))
        (os.killpg if group else os.kill)(pid, number)

    def wait(self) -> int:
        until(lambda: self.status is not None, f"the end of {self.folder}: {self.err[-500:]}")
        assert self.status is not None
        return self.status


@dataclass
class Launched:
    """All processes of a run; as many as there are ranks."""

    processes: list[Process]

    @property
    def out(self) -> str:
        return self.processes[0].out

    @property
    def err(self) -> str:
        return self.processes[0].err

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        for process in self.processes:
            process.signal(number, group=group)

    def wait(self) -> int:
        statuses = [process.wait() for process in self.processes]
        assert len(set(statuses)) == 1, [(p.status, p.err[-800:]) for p in self.processes]
        return statuses[0]

    def ended(self) -> bool:
        return all(process.status is not None for process in self.processes)


def until(condition, what: str):
    """Wait until a condition holds, and give its value."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s for {what}"
        time.sleep(0.01)
    return value


class Launcher:
    """Starts recipes; ``run`` waits for the end and insists on a status."""

    def __init__(self, server: subprocess.Popen, folder: Path) -> None:
        self._server, self._folder, self._count = server, folder, 0

    @staticmethod
    def recipe(task: str) -> Path:
        """A smoke recipe's file."""
        return SMOKE / f"{task}.yaml"

    def start(
        self, recipe: str | Path, *arguments: str, processes: int = 1, cwd: Path | None = None, **env: str
    ):
        path = recipe if isinstance(recipe, Path) else self.recipe(recipe)
        world = {}
        if processes > 1:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                world = {
                    "WORLD_SIZE": processes,
                    "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": free.getsockname()[1],
                }
        words = [str(path), *(["run.threads=1"] if path.suffix == ".yaml" else []), *arguments]
        ranks = [{**world, "RANK": rank, "LOCAL_RANK": rank} if world else {} for rank in range(processes)]
        return Launched([self._ask(words, cwd, {**rank, **env}) for rank in ranks])

    def begin(self, *arguments: str, cwd: Path | None = None, **env: str) -> Process:
        """``python -m tunesmith ARGUMENTS``."""
        return self._ask(["-m", "tunesmith", *arguments], cwd, env)

    def command(self, *arguments: str, status: int = 0, cwd: Path | None = None, **env: str) -> Process:
        """``python -m tunesmith ARGUMENTS``, to its end."""
        done = self.begin(*arguments, cwd=cwd, **env)
        ended = done.wait()
        assert ended == status, f"status {ended}\n{done.out[-3000:]}\n{done.err[-3000:]}"
        return done

    def _ask(self, words: list[str], cwd: Path | None, env: dict) -> Process:
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        order = {
            "argv": words,
            "env": {name: str(value) for name, value in env.items()},
            "cwd": str(cwd or self._folder),
            "folder": str(folder),
        }
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return Process(folder)

    def run(self, recipe: str | Path, *arguments: str, status: int = 0, **options) -> Launched:
        launched = self.start(recipe, *arguments, **options)
        ended = launched.wait()
        assert ended == status, f"status {ended}\n{launched.out[-3000:]}\n{launched.err[-3000:]}"
        return launched


def environment_of(profile: str) -> dict[str, str]:
    """What stock ``accelerate launch`` would export for a profile: asked of Accelerate itself."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env

    file = SMOKE.parents[1] / "launcher" / f"{profile}.yaml"
    words = ["--config_file", str(file), "recipe.yaml"]
    parsed, defaults, _ = _validate_launch_command(launch_command_parser().parse_args(words))
    parsed.deepspeed_fields_from_accelerate_config = ",".join(getattr(defaults, "deepspeed_config", {}) or {})
    env = prepare_deepspeed_cmd_env(parsed)[1] if parsed.use_deepspeed else prepare_multi_gpu_env(parsed)
    wanted = ("ACCELERATE_", "FSDP_")
    return {name: value for name, value in env.items() if name.startswith(wanted)}


def start_server(folder: Path) -> subprocess.Popen:
    """A server that forks runs; see ``fork_server.py``."""
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**ENVIRON, "TUNESMITH_CACHE": str(folder / "cache"), "COLUMNS": "200"},
        text=True,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    return server


@pytest.fixture(scope="session")
def launcher(request, tmp_path_factory):
    """One server for all rooms that ask for it: it takes seconds to get ready."""
    config = request.config
    if not hasattr(config, "launcher"):
        folder = tmp_path_factory.mktemp("launched")
        server = start_server(folder)
        config.launcher = Launcher(server, folder)
        config.add_cleanup(lambda: _end(server))
    return config.launcher


def _end(server: subprocess.Popen) -> None:
    assert server.stdin is not None
    server.stdin.close()
    server.wait(30)


@pytest.fixture(scope="session")
def read():
    """Readers of a run directory."""

    def journal(run_dir: Path, kind: str | None = None) -> list[dict]:
        lines = (run_dir / "metrics.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        return [record for record in records if kind in (None, record["kind"])]

    def losses(run_dir: Path) -> dict[int, str]:
        records = journal(run_dir, "train")
        assert [record["step"] for record in records] == list(range(1, len(records) + 1))
        return {record["step"]: record["loss_hex"] for record in records}

    def as_json(path: Path):
        return json.loads(path.read_text())

    def weights(run_dir: Path) -> str:
        import hashlib

        data = b"".join(path.read_bytes() for path in sorted((run_dir / "model").glob("*.safetensors")))
        assert data
        return hashlib.sha256(data).hexdigest()

    def tree(folder: Path) -> dict[str, tuple[int, str]]:
        import hashlib

        return {
            str(path.relative_to(folder)): (
                path.stat().st_mtime_ns,
                hashlib.sha256(path.read_bytes()).hexdigest(),
            )
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    return SimpleNamespace(
        journal=journal, losses=losses, json=as_json, weights=weights, tree=tree, until=until
    )

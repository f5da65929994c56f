"""Real runs for the tests: each in a process of its own, started in no time by ``fork_server.py``."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

SMOKE = Path(__file__).parents[2] / "recipes" / "smoke"
PATIENCE = 120.0


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
        started = []
        for rank in range(processes):
            self._count += 1
            folder = self._folder / str(self._count)
            folder.mkdir()
            ranks = {**world, "RANK": rank, "LOCAL_RANK": rank} if world else {}
            order = {
                "argv": [str(path), *(["run.threads=1"] if path.suffix == ".yaml" else []), *arguments],
                "env": {name: str(value) for name, value in {**ranks, **env}.items()},
                "cwd": str(cwd or self._folder),
                "folder": str(folder),
            }
            assert self._server.stdin is not None
            self._server.stdin.write(json.dumps(order) + "\n")
            self._server.stdin.flush()
            started.append(Process(folder))
        return Launched(started)

    def run(self, recipe: str | Path, *arguments: str, status: int = 0, **options) -> Launched:
        launched = self.start(recipe, *arguments, **options)
        ended = launched.wait()
        assert ended == status, f"status {ended}\n{launched.out[-3000:]}\n{launched.err[-3000:]}"
        return launched


def start_server(folder: Path) -> subprocess.Popen:
    """A server that forks runs; see ``fork_server.py``."""
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TUNESMITH_CACHE": str(folder / "cache"), "COLUMNS": "200"},
        text=True,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    return server


@pytest.fixture(scope="session")
def launcher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("launched")
    server = start_server(folder)
    yield Launcher(server, folder)
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


@pytest.fixture(scope="session")
def finished(launcher, tmp_path_factory):
    """The smoke recipe of each task, run to its end once; ``lora`` is tuned from the language model."""
    folder = tmp_path_factory.mktemp("finished")
    tasks = ("causal-lm", "sequence-classification", "regression", "image-classification")
    runs = {task: folder / task for task in tasks}
    started = [launcher.start(task, f"run.dir={runs[task]}", "eval.every=10 steps") for task in tasks]
    for launched in started:
        assert launched.wait() == 0, launched.err
    runs["lora"] = folder / "lora"
    (folder / "lora.yaml").write_text(LORA.replace("MODEL", str(runs["causal-lm"] / "model")))
    shutil.copy(SMOKE / "rows.py", folder / "more_rows.py")
    launcher.run(folder / "lora.yaml", f"run.dir={runs['lora']}")
    recipes = {task: SMOKE / f"{task}.yaml" for task in tasks} | {"lora": folder / "lora.yaml"}
    return SimpleNamespace(runs=runs, recipes=recipes, started=dict(zip(tasks, started, strict=True)))


@pytest.fixture(scope="session")
def lora_recipe(finished):
    """A recipe that tunes adapters."""
    return finished.recipes["lora"]


LORA = """\
task: causal-lm
model: {source: MODEL, dtype: float32}
data:
  train:
    source: python:more_rows:animals
    arguments: {count: 300}
    prompt: "The {animal} of {name} says"
    completion: sound
  eval: {holdout: 32}
tune: {lora: {rank: 4}}
optimizer: {learning_rate: 1e-2, warmup: 2}
batch: {size: 8}
eval: {every: 10 steps, metrics: [exact_match], generate: {max_new_tokens: 6}}
stop: [{budget: {steps: 20}}]
run: {seed: 3}
"""


@pytest.fixture(scope="session")
def mse_by_hand():
    """What a finished regressor gets wrong, worked out without the product's own evaluation."""

    def mse_by_hand(run_dir, launcher) -> float:
        """Mean squared error of ``model/`` on the held-out rows, by plain transformers."""
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        from tunesmith.data.load import load_rows
        from tunesmith.recipe.load import load_recipe
        from tunesmith.tasks.build import TASKS

        recipe = load_recipe(run_dir / "recipe.yaml")
        folder = launcher.recipe("regression").parent
        rows = load_rows(recipe.data, TASKS["regression"].needs, recipe.run.seed, folder=folder).eval
        model = AutoModelForSequenceClassification.from_pretrained(run_dir / "model").eval()
        tokenizer = AutoTokenizer.from_pretrained(run_dir / "model")
        with torch.no_grad():
            said = [float(model(**tokenizer(row.fields["text"], return_tensors="pt")).logits) for row in rows]
        return sum((one - row.fields["target"]) ** 2 for one, row in zip(said, rows, strict=True)) / len(rows)

    return mse_by_hand

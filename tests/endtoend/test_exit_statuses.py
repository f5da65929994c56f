"""The exit status of every ending, from real processes, as a scheduler or a script would see it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
FINISHED, FAULT, USER, PREEMPTED = 0, 1, 2, 75

RECIPE = """\
if __name__ == "__main__": import tunesmith; tunesmith.main(__file__); r\"\"\"
task: causal-lm
model:
  dtype: float32
  new: {model_type: llama, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1,
        num_attention_heads: 2, max_position_embeddings: 64}
  tokenizer: {train: {vocab_size: 300}}
data:
  train: {source: ./rows.jsonl, prompt: question, completion: answer}
  eval: {holdout: 4}
optimizer: {learning_rate: 1e-3, schedule: constant}
batch: {size: 4}
eval: {every: 2 steps}
stop: [{budget: {steps: 4}}]
run: {dir: run, threads: 1}
# \"\"\"
"""
ENDLESS = "stop=[{budget: {steps: 1000000}}]"
BREAK = """\
import os, sys
if os.environ.get("BREAK"):
    import importlib.abc
    class Broken(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path, target=None):
            if name == "tunesmith.report.page":
                raise RuntimeError("a part of the program is broken")
    sys.meta_path.insert(0, Broken())
"""


@dataclass(frozen=True)
class Ending:
    """One way to end.

    Attributes:
        arguments: after the recipe.
        status: what the process must give.
        said: words on stderr or stdout.
        rows: lines of the file of rows; none for good ones.
        recipe: the recipe's text.
        environment: further variables.
        first: whether the same command is carried out once before.
        sent: a signal, once the run trains.
    """

    arguments: tuple[str, ...] = ()
    status: int = USER
    said: str = ""
    rows: str = ""
    recipe: str = RECIPE
    environment: dict[str, str] = field(default_factory=dict)
    first: bool = False
    sent: signal.Signals | None = None


ENDINGS = {
    "the budget is spent": Ending(status=FINISHED, said="report"),
    "a rule stopped it": Ending(("stop=[{target: {loss: 100}}, {budget: {steps: 4}}]",), FINISHED, "target"),
    "it had finished before": Ending(status=FINISHED, said="already finished", first=True),
    "a misspelt key": Ending(("batch.sise=8",), USER, "batch.sise"),
    "an impossible value": Ending(("batch.size=0",), USER, "batch.size"),
    "not YAML": Ending(recipe=RECIPE.replace("eval: {every", "eval: [every"), said="every"),
    "a secret": Ending(("model.revision=hf_abcdefghijklmnopqrst",), USER, "looks like a secret"),
    "a row that cannot be read": Ending(rows='{"question": \n', said="rows.jsonl:1"),
    "no rows": Ending(rows="\n", said="rows.jsonl"),
    "no such model": Ending(("model={source: ./gone}",), USER, "gone"),
    "a configuration that transformers refuses": Ending(("model.new.model_type=lama",), USER, "lama"),
    "a folder of something else": Ending(("run.dir=.",), USER, "no run directory"),
    "another recipe's run": Ending(("optimizer.learning_rate=1e-4",), USER, "another recipe", first=True),
    "asked to leave": Ending((ENDLESS,), PREEMPTED, "run the same command", sent=signal.SIGTERM),
    "a fault of the program": Ending(status=FAULT, said="RuntimeError", environment={"BREAK": "1"}),
}
LAUNCHERS = {
    "tunesmith": [str(BIN / "tunesmith"), "run"],
    "python": [sys.executable],
    "accelerate": [str(BIN / "accelerate"), "launch", "--num_processes", "1"],
}
# Everything once through one launcher, and what differs between them through all.
CASES = [("tunesmith", name) for name in ENDINGS]
CASES += [("python", name) for name in ("the budget is spent", "a misspelt key", "asked to leave")]
CASES += [("python", "a fault of the program")]
CASES += [
    ("accelerate", name) for name in ("the budget is spent", "a misspelt key", "a fault of the program")
]

pytestmark = pytest.mark.slow


def environment_of(folder: Path, ending: Ending) -> dict[str, str]:
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(BREAK)
    return {
        **os.environ,
        "TUNESMITH_CACHE": str(folder / "cache"),
        "PYTHONPATH": str(folder / "site"),
        "OMP_NUM_THREADS": "1",
        **ending.environment,
    }


def carry_out(
    command: list[str], folder: Path, environment: dict[str, str], ending: Ending
) -> tuple[int, str]:
    """Status and words of a process, which gets its signal if it is to get one."""
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen(command, cwd=folder / "project", env=environment, stdout=said, stderr=said)
        if ending.sent:
            _wait_until_it_trains(folder, lambda: process.poll() is not None)
            process.send_signal(ending.sent)
        status = process.wait(200)
        said.seek(0)
        return status, said.read()


def carry_out_warm(
    warm, command: list[str], folder: Path, environment: dict[str, str], ending: Ending
) -> tuple[int, str]:
    """As ``carry_out``, in a process that is forked where everything is imported already."""
    changed = {name: value for name, value in environment.items() if os.environ.get(name) != value}
    process = warm.begin(*command[1:], cwd=folder / "project", **changed)
    if ending.sent:
        _wait_until_it_trains(folder, lambda: process.status is not None)
        process.signal(ending.sent)
    status = process.wait()
    return status, process.out + process.err


def _wait_until_it_trains(folder: Path, ended: Callable[[], bool]) -> None:
    journal = folder / "project" / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 200
    while not ended() and not (journal.exists() and '"train"' in journal.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(("through", "name"), CASES)
@pytest.mark.matrix(sample=12, each="through")
def test_statuses(launcher, tmp_path: Path, through: str, name: str) -> None:
    ending = ENDINGS[name]
    act = carry_out
    if through == "tunesmith" and "BREAK" not in ending.environment:
        act = partial(carry_out_warm, launcher)
    project = tmp_path / "project"
    project.mkdir()
    (project / "recipe.yaml").write_text(ending.recipe)
    good = "".join(json.dumps({"question": f"what is {i}?", "answer": f"{i}"}) + "\n" for i in range(24))
    (project / "rows.jsonl").write_text(ending.rows or good)
    environment = environment_of(tmp_path, ending)
    command = [*LAUNCHERS[through], "recipe.yaml"]
    if ending.first:
        assert act(command, tmp_path, environment, Ending())[0] == FINISHED
    status, said = act([*command, *ending.arguments], tmp_path, environment, ending)
    # Accelerate's launcher turns whatever is not 0 into 1; result.json and the words tell which it was.
    expected = min(ending.status, 1) if through == "accelerate" else ending.status
    assert status == expected, said[-2000:]
    assert ending.said in said
    if through != "accelerate":
        assert ("Traceback" in said) == (ending.status == FAULT), said[-2000:]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--version"], FINISHED),
        (["--help"], FINISHED),
        (["schema"], FINISHED),
        (["check", "gone.yaml"], USER),
        (["plan", "gone.yaml"], USER),
        (["run", "gone.yaml"], USER),
        (["run"], USER),
        (["gone.yaml"], USER),
        (["nonsense"], USER),
        (["run", "--nonsense", "gone.yaml"], USER),
        (["report", "gone"], USER),
        (["chat", "gone"], USER),
        (["generate", "gone", "-i", "a", "-o", "b"], USER),
        (["init", "nonsense"], USER),
        (["launchable", "gone.yaml"], USER),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_other_commands(tmp_path: Path, arguments: list[str], status: int) -> None:
    done = subprocess.run([str(BIN / "tunesmith"), *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert bool(done.stderr.strip()) == (status != FINISHED)
    assert list(tmp_path.iterdir()) == []

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.cli.main import command_line

GOOD = """\
task: causal-lm
model: {source: org/name}
data: {train: {source: ./rows.jsonl, prompt: question, completion: answer}}
optimizer: {learning_rate: 1e-3}
batch: {size: 8}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text('{"question": "a", "answer": "b"}\n')
    path = Path("r.yaml")
    path.write_text(GOOD)
    return path


@pytest.fixture
def tunesmith(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Carry out a command line in the test's folder; gives status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def act(*arguments: object) -> tuple[int, str, str]:
        try:
            status = command_line([str(one) for one in arguments])
        except SystemExit as leave:
            status = int(leave.code or 0)
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return act

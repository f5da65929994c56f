from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.recipe.load import load_recipe

GOOD = """\
task: causal-lm
model:
  source: org/name
data:
  train:
    source: ./rows.jsonl
    prompt: "Q: {question}"
    completion: answer
  eval: {holdout: 0.2}
optimizer: {learning_rate: 1e-3}
batch: {size: 8}
"""


@pytest.fixture
def good() -> str:
    return GOOD


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write a recipe beside some rows, in the working directory; gives its relative path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"question": "a", "answer": "b"}\n', encoding="utf-8")

    def write_file(text: str | bytes, name: str = "r.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return Path(name)

    return write_file


@pytest.fixture
def message(write: Callable[..., Path]) -> Callable[..., str]:
    """The whole message that a bad recipe gives."""

    def message_of(text: str | bytes, *overrides: str) -> str:
        with pytest.raises(UserError) as caught:
            load_recipe(write(text), overrides)
        return str(caught.value)

    return message_of

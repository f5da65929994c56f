"""Files, recipes' sections and samples in a line each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.data.load import LoadedRows, load_rows
from tunesmith.recipe.schema.data import Data
from tunesmith.recipe.tasks.language import CAUSAL_LM

CHAT = CAUSAL_LM.row_schema


@pytest.fixture
def write(tmp_path):
    """Write a file: text, bytes, or a list of values as JSON Lines; gives its path as text."""

    def _write(name: str, content) -> str:
        path: Path = tmp_path / name
        if isinstance(content, list):
            content = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return _write


@pytest.fixture
def load(tmp_path):
    """Load rows of one or several sources, without evaluation rows worth speaking of unless asked for."""

    def _load(*sources: dict, needs=CHAT, seed: int = 0, **sections) -> LoadedRows:
        sections = {"eval": {"holdout": 1}} | sections
        data = Data.model_validate({"train": list(sources)} | sections)
        return load_rows(data, needs, seed, folder=tmp_path)

    return _load


def all_rows(loaded: LoadedRows) -> list:
    """Training and evaluation rows together, in the order in which they were read."""
    return sorted((*loaded.train, *loaded.eval), key=lambda row: int(row.id.rpartition(":")[2]))


@pytest.fixture
def rows_of(load):
    return lambda *sources, **sections: all_rows(load(*sources, **sections))

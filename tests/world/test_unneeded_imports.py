"""A package that is only asked about is not imported, and is there for whoever needs it later."""

import importlib.util
import sys

import pytest

from tunesmith.world.unneeded_imports import without_importing


def test_it_is_not_imported_meanwhile_and_is_there_afterwards(monkeypatch, tmp_path):
    (tmp_path / "heavy_to_import.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with without_importing("heavy_to_import"):
        assert importlib.util.find_spec("heavy_to_import") is None
        with pytest.raises(ImportError):
            importlib.import_module("heavy_to_import")
    assert importlib.import_module("heavy_to_import")
    monkeypatch.delitem(sys.modules, "heavy_to_import")


def test_one_that_is_imported_stays():
    with without_importing("importlib"):
        assert sys.modules["importlib"] is importlib
    assert sys.modules["importlib"] is importlib

"""The hub's errors, as the libraries really raise them where no hub can be reached."""

from __future__ import annotations

import pytest

from tunesmith.errors import UserError
from tunesmith.sources.address import HubAddress
from tunesmith.sources.hub import explain_hub_error

ADDRESS = HubAddress("tunesmith-tests/there-is-none")


def test_a_model_that_is_not_in_the_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from transformers import AutoConfig

    with pytest.raises(OSError) as caught:  # noqa: PT011  # transformers raises nothing finer
        AutoConfig.from_pretrained(ADDRESS.name, cache_dir=str(tmp_path))
    error = explain_hub_error(caught.value, ADDRESS)
    assert isinstance(error, UserError)
    assert "HF_HUB_OFFLINE" in str(error)
    assert "HF_HOME" in error.hint
    assert "pypi:" in error.hint


def test_a_data_set_that_is_not_in_the_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    with pytest.raises(Exception) as caught:  # noqa: PT011
        datasets.load_dataset(ADDRESS.name, cache_dir=str(tmp_path))
    error = explain_hub_error(caught.value, ADDRESS)
    assert "HF_HUB_OFFLINE" in error.what
    assert ADDRESS.name in error.what


def named(name: str, *bases: type) -> Exception:
    return type(name, bases or (Exception,), {})("some words of the library")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (named("GatedRepoError"), "gated"),
        (named("RepositoryNotFoundError"), "not on the hub, or is private"),
        (named("RevisionNotFoundError"), "no revision"),
        (named("ConnectTimeout"), "cannot be reached"),
        (ConnectionRefusedError("x"), "cannot be reached"),
        (OSError("We couldn't connect to the hub to load the files"), "cannot be reached"),
        (ValueError("weights are odd"), "weights are odd"),
    ],
)
def test_each_kind_of_error_has_its_own_way_out(error, words, monkeypatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    explained = explain_hub_error(error, ADDRESS)
    assert words in explained.what
    assert explained.hint


def test_the_cause_of_a_cause_is_seen(monkeypatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    outer = OSError("it is not a folder")
    outer.__cause__ = named("GatedRepoError")
    assert "gated" in explain_hub_error(outer, ADDRESS).what

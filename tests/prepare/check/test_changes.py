"""What a run is made of may not change under it without a word."""

import json

import pytest

from tunesmith.errors import UserError
from tunesmith.prepare.check.changes import changes_since

NOW = {"data": "d2", "base": "b2", "code": "c2"}


def begun(folder, **about) -> None:
    (folder / "environment.json").write_text(json.dumps(about))
    (folder / "checkpoints" / "step-00000002").mkdir(parents=True)


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"data_fingerprint": "d1", "base_digest": "b2"}, "the data has changed"),
        ({"data_fingerprint": "d2", "code_digest": "c1"}, "the file of a metric has changed"),
        ({"data_fingerprint": "d2", "base_digest": "b1"}, "the base model has changed"),
    ],
)
def test_another_base_or_other_rows_are_noticed(tmp_path, about, words) -> None:
    begun(tmp_path, **about)
    with pytest.raises(UserError, match=words) as caught:
        changes_since(tmp_path, NOW, accept=False)
    assert "--accept-changes" in caught.value.hint
    assert len(changes_since(tmp_path, NOW, accept=True)) == 1


@pytest.mark.parametrize("base", [{"base_digest": "b2"}, {}], ids=["the same", "of an older version"])
def test_the_same_goes_on(tmp_path, base) -> None:
    begun(tmp_path, data_fingerprint="d2", **base)
    assert changes_since(tmp_path, NOW, accept=False) == ()


def test_nothing_learnt_is_nothing_lost(tmp_path) -> None:
    assert changes_since(tmp_path, NOW, accept=False) == ()

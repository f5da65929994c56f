"""Rows that are left out by name."""

from __future__ import annotations

import pytest

from tunesmith.data.clean.exclusions import excluded_ids
from tunesmith.errors import UserError


@pytest.fixture
def rows(write):
    return write("rows.txt", "".join(f"line {line}\n" for line in range(1, 11)) + "line 3\n")


def test_the_rows_stay_and_their_names_are_known(load, rows) -> None:
    whole = load({"source": rows}, eval={"holdout": 2})
    chosen = [whole.train[0].id, whole.train[4].id]
    loaded = load({"source": rows}, eval={"holdout": 2}, exclude=chosen)
    assert loaded.excluded == frozenset(chosen)
    assert (loaded.train, loaded.eval) == (whole.train, whole.eval)
    assert loaded.fingerprint != whole.fingerprint
    again = load({"source": rows}, eval={"holdout": 2}, exclude=chosen[::-1])
    assert again.fingerprint == loaded.fingerprint, "their order does not matter"
    one = load({"source": rows}, eval={"holdout": 2}, exclude=chosen[0])
    assert one.fingerprint not in (whole.fingerprint, loaded.fingerprint)


def test_a_file_of_ids_is_the_same_as_its_ids(load, rows, write) -> None:
    chosen = [row.id for row in load({"source": rows}, eval={"holdout": 2}).train[:3]]
    file = write("ids.txt", f"\ufeff{chosen[0]}\r\n\n  {chosen[1]}\n")
    loaded = load({"source": rows}, eval={"holdout": 2}, exclude=[str(file), chosen[2]])
    listed = load({"source": rows}, eval={"holdout": 2}, exclude=chosen)
    assert (loaded.excluded, loaded.fingerprint) == (listed.excluded, listed.fingerprint)


def test_what_cleaning_leaves_out_may_be_named_and_changes_nothing(load, rows) -> None:
    whole = load({"source": rows}, eval={"holdout": 2})
    loaded = load({"source": rows}, eval={"holdout": 2}, exclude=["rows.txt:11"])
    assert loaded.fingerprint == whole.fingerprint, "the row is a duplicate"


@pytest.mark.parametrize(
    ("exclude", "words"),
    [
        (["rows.txt:12"], ["no row `rows.txt:12`", "did you mean `rows.txt:11`?"]),
        (["row.txt:2", "x:1"], ["no row `row.txt:2`, `x:1`", "did you mean `rows.txt:2`?"]),
        ([f"rows.txt:{line}" for line in range(90, 99)], ["and 4 more"]),
    ],
)
def test_an_id_that_is_not_there_is_told_the_nearest(load, rows, exclude, words) -> None:
    with pytest.raises(UserError) as caught:
        load({"source": rows}, eval={"holdout": 2}, exclude=exclude)
    assert caught.value.where == "data.exclude"
    assert all(word in str(caught.value) for word in words)


def test_rows_that_are_evaluated_on_stay(load, rows, write) -> None:
    held_out = load({"source": rows}, eval={"holdout": 2}).eval[0].id
    with pytest.raises(UserError, match=r"evaluated on \(`data.eval`\)"):
        load({"source": rows}, eval={"holdout": 2}, exclude=[held_out])
    own = write("test.txt", "one\ntwo\n")
    with pytest.raises(UserError, match=r"evaluated on \(`data.test`\)"):
        load({"source": rows}, eval={"holdout": 2}, test={"source": own}, exclude=["test.txt:2"])


def test_a_file_that_is_no_list_of_ids_is_named_with_its_line(write, tmp_path) -> None:
    file = write("ids.txt", "a.txt:1\nthe second\n")
    with pytest.raises(UserError) as caught:
        excluded_ids([str(file)])
    assert caught.value.where == f"{file}:2"
    with pytest.raises(UserError, match="not UTF-8"):
        excluded_ids([str(write("bad.txt", b"\xff\xfe"))])
    with pytest.raises(UserError, match="cannot be read"):
        excluded_ids([str(tmp_path)])

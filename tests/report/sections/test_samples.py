"""Samples of tasks whose answers are lists."""

import pytest

from tunesmith.report.sections.samples import as_sample, told


@pytest.mark.parametrize(
    ("value", "text"),
    [(["é", 1], '["é", 1]'), ([{"start": 0}], '[{"start": 0}]'), ("a", "a"), (1.5, "1.5"), ((1,), "(1,)")],
)
def test_lists_are_told_as_json(value, text: str) -> None:
    assert told(value) == text


def test_a_sample_with_a_list() -> None:
    row = as_sample({"id": "r:1", "reference": ["a"], "before": [], "after": ["a"]}, "1", judged=False)
    assert (row.reference, row.before, row.after) == ('["a"]', "[]", '["a"]')

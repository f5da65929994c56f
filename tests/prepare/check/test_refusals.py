"""A plan refuses what a run would refuse only at its first evaluation."""

from __future__ import annotations

import pytest

from tunesmith.errors import UserError
from tunesmith.prepare.check.refusals import refuse_plain_text


def test_answers_are_asked_of_rows_that_have_none():
    plain = [{"id": "r:1", "reference": ""}]
    with pytest.raises(UserError, match="is plain text") as caught:
        refuse_plain_text(plain, ("loss", "exact_match"))
    assert "perplexity" in caught.value.hint
    refuse_plain_text(plain, ("loss", "perplexity"))
    refuse_plain_text([{"id": "r:1", "reference": "a"}], ("exact_match",))
    refuse_plain_text([{"id": "r:1", "reference": 0}], ("accuracy",))

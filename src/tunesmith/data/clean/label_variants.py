"""Labels that a reader takes for one and a computer for two: ``Cat`` and ``cat``, ``1`` and ``1.0``."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence

from tunesmith.data.clean.findings import CleanFinding, Findings, apply_policy
from tunesmith.data.kinds.table import classes_in
from tunesmith.data.map.map_row import MappedRow
from tunesmith.recipe.schema.data import Clean

_Class = tuple[str, str]  # field and name


def clean_labels(samples: Sequence[MappedRow], clean: Clean, findings: Findings) -> Findings:
    """Find classes that are spelt in several ways; two forms of the same Unicode text are one class already.

    Raises:
        UserError: there are some, and the policy is ``error``.
    """
    counts: Counter[_Class] = Counter()
    first: dict[_Class, MappedRow] = {}
    for sample in samples:
        for one in dict.fromkeys(classes_in(sample.row)):
            counts[one] += 1
            first.setdefault(one, sample)
    spellings: dict[_Class, list[_Class]] = {}
    for field, label in counts:
        spellings.setdefault((field, comparable_label(label)), []).append((field, label))
    more = []
    for several in spellings.values():
        usual, *others = sorted(several, key=lambda one: (-counts[one], one))
        for one in others:
            sample = first[one]
            same = f"looks like {usual[1]!r} ({counts[usual]} rows)"
            detail = f"label {one[1]!r} ({counts[one]} rows) {same}"
            more.append(CleanFinding(sample.row.id, sample.place, detail))
    hint = (
        "make them one, e.g. by `values` (`values: {COLUMN: {old: new}}`), or, if they are different "
        "classes, set `data.clean.alike_labels: keep`"
    )
    return apply_policy(findings, "alike_labels", more, clean.alike_labels, "labels that look alike", hint)


def comparable_label(label: str) -> str:
    """A label without what a reader overlooks: case, blanks, invisible signs, forms of letters."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())
    shown = "".join(sign for sign in folded if not sign.isspace() and unicodedata.category(sign) != "Cf")
    try:
        number = float(shown) if not set(shown) & set("_abcdfghijklmnopqrstuvwxyz") else math.nan
    except ValueError:
        return shown
    return repr(number) if math.isfinite(number) else shown

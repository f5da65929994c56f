"""Rows that should not be there: found, counted, and dropped, kept or refused as the recipe says."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.data.clean.findings import CleanFinding, Findings, apply_policy
from tunesmith.data.clean.near_duplicates import near_duplicates, near_matches
from tunesmith.data.map.map_row import MappedRow
from tunesmith.data.row import Skip
from tunesmith.recipe.schema.data import Clean

# Looking for what is then kept costs time: up to so many rows it is done for the report alone.
LOOK_ANYWAY = 20_000


def clean_skips(skips: Sequence[tuple[Skip, str]], clean: Clean, findings: Findings) -> Findings:
    """Judge the rows that could not be read or mapped; each comes with its place.

    Raises:
        UserError: there are some, and the policy is ``error``.
    """
    for reason, policy, what in (
        ("malformed", clean.malformed, "rows that cannot be read"),
        ("empty", clean.empty, "empty rows"),
    ):
        more = [CleanFinding(skip.id, place, skip.detail) for skip, place in skips if skip.reason == reason]
        findings = apply_policy(findings, reason, more, policy, what)
    return findings


def clean_duplicates(
    samples: Sequence[MappedRow], clean: Clean, findings: Findings
) -> tuple[list[MappedRow], Findings]:
    """Find exact duplicates, conflicts and near duplicates among rows of one part; the first one stays.

    Exact duplicates have the same input, but for Unicode's form and blanks within a line, and the same answer
    to the letter. Conflicts have the same input and different answers: they are counted and kept, for they
    may be meant.

    Raises:
        UserError: there are some, and the policy is ``error``.
    """
    first: dict[bytes, MappedRow] = {}
    again: list[CleanFinding] = []
    for sample in samples:
        same = first.setdefault(sample.same_key, sample)
        if same is not sample:
            again.append(_finding(sample, f"the same as {same.row.id}"))
    findings = apply_policy(findings, "duplicates", again, clean.duplicates, "duplicate rows")
    findings = findings.with_more("conflicts", _conflicts(list(first.values())), dropped=False)
    kept = list(first.values()) if clean.duplicates == "drop" else list(samples)
    return _clean_near(kept, clean, findings)


def _conflicts(distinct: Sequence[MappedRow]) -> list[CleanFinding]:
    first: dict[bytes, MappedRow] = {}
    found = []
    for sample in distinct:
        other = first.setdefault(sample.input_key, sample)
        if other.answer_key != sample.answer_key:
            found.append(_finding(sample, f"the input of {other.row.id} with another answer"))
    return found


def seeks_near_duplicates(clean: Clean, rows: int) -> bool:
    """Whether near duplicates are sought: if they matter, or if it costs little."""
    return clean.near_duplicates != "keep" or rows <= LOOK_ANYWAY


def _clean_near(
    samples: list[MappedRow], clean: Clean, findings: Findings
) -> tuple[list[MappedRow], Findings]:
    if not seeks_near_duplicates(clean, len(samples)):
        return samples, findings
    texts = [f"{sample.input_words} {sample.answer_words}".strip() for sample in samples]
    near = near_duplicates(texts, clean.near_threshold)
    # What was counted as an exact duplicate or a conflict is not counted again.
    near = {index: other for index, other in near.items() if not _known(samples[index], samples[other])}
    more = [
        _finding(samples[index], f"nearly the same as {samples[other].row.id}")
        for index, other in near.items()
    ]
    findings = apply_policy(findings, "near_duplicates", more, clean.near_duplicates, "near-duplicate rows")
    if clean.near_duplicates == "drop":
        samples = [sample for index, sample in enumerate(samples) if index not in near]
    return samples, findings


def clean_leakage(
    train: Sequence[MappedRow],
    held_out: Sequence[MappedRow],
    clean: Clean,
    findings: Findings,
    *,
    what: str = "training rows that stand in the evaluation data too",
) -> tuple[list[MappedRow], Findings]:
    """Find training rows whose input also stands in the evaluation rows, whatever its answer.

    Near ones count too, where the recipe asks about near duplicates. Rows are dropped from training, so
    that the evaluation stays the same. ``what`` names such rows, for the message.

    Raises:
        UserError: there are some, and the policy is ``error``.
    """
    by_input = {sample.input_key: sample for sample in reversed(held_out)}
    leaks: dict[int, str] = {}
    for index, sample in enumerate(train):
        other = by_input.get(sample.input_key)
        if other is not None:
            leaks[index] = f"its input is also that of {other.row.id}, which is evaluated on"
    if clean.near_duplicates != "keep":
        texts = [sample.input_words for sample in train]
        near = near_matches(texts, [sample.input_words for sample in held_out], clean.near_threshold)
        for index, other_index in near.items():
            other = held_out[other_index]
            leaks.setdefault(index, f"its input is nearly that of {other.row.id}, which is evaluated on")
    more = [_finding(train[index], leaks[index]) for index in sorted(leaks)]
    findings = apply_policy(findings, "leakage", more, clean.leakage, what)
    if clean.leakage == "drop":
        return [sample for index, sample in enumerate(train) if index not in leaks], findings
    return list(train), findings


def _known(one: MappedRow, other: MappedRow) -> bool:
    """The same input, with the same answer or with another label, which is not among the words compared."""
    return one.input_key == other.input_key and (
        one.answer_key == other.answer_key or not (one.answer_words or other.answer_words)
    )


def _finding(sample: MappedRow, detail: str) -> CleanFinding:
    return CleanFinding(sample.row.id, sample.place, detail)

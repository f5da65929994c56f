"""The data report: what was read, found, dropped and kept; ``data.json`` of the run directory."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tunesmith.data.clean.findings import CleanFinding, Findings
from tunesmith.data.row import Skip

REASONS = (
    "empty",
    "malformed",
    "duplicates",
    "near_duplicates",
    "conflicts",
    "leakage",
    "too_long",
    "no_loss",
    "truncated",
)


@dataclass(frozen=True, slots=True)
class SourceRows:
    """One source of the recipe.

    Attributes:
        source: as the recipe writes it.
        rows: read from it, those that could not be used included.
        taken: how they were chosen, where they are not all that there are: ``sample`` or ``first``.
        of: how many there are, if that is known.
    """

    source: str
    rows: int
    taken: str = ""
    of: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As ``data.json`` holds it."""
        chosen = {"taken": self.taken, "of": self.of} if self.taken else {}
        return {"source": self.source, "rows": self.rows, **chosen}


Counts = Mapping[str, int]
"""Class or answer to a number of rows, the commonest first."""


@dataclass(frozen=True, slots=True)
class WithoutModel:
    """What is reached on the evaluation rows without any model, such as ``always ham``.

    Attributes:
        name: what is always said.
        metrics: what that scores.
    """

    name: str
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Lengths of the encoded training rows, in tokens."""

    total: int
    supervised: int
    longest: int
    median: float


@dataclass(frozen=True, slots=True)
class DataReport:
    """What became of the data.

    Attributes:
        sources: in the order of the recipe, the evaluation's last if it has its own.
        train: rows to learn from.
        eval: rows to evaluate on.
        findings: counts and examples per reason.
        looked_for_near: whether near duplicates were sought at all.
        tokens: known once rows are encoded.
        fingerprint: SHA-256 over all rows that are left, in order.
        test: rows of the test split; 0 if there is none.
        sets: rows of each further evaluation set.
        eval_of: how many evaluation rows there were, where `eval.limit` took a sample of them.
        classes: rows of each class, by part (``train``, ``eval``); empty where there are no classes.
        without_model: what is reached without any.
        notes: what else should be known before anything is learnt, a sentence each.
    """

    sources: tuple[SourceRows, ...]
    train: int
    eval: int
    findings: Findings
    looked_for_near: bool
    fingerprint: str
    tokens: Tokens | None = None
    test: int = 0
    sets: Mapping[str, int] = field(default_factory=dict)
    eval_of: int | None = None
    classes: Mapping[str, Counts] = field(default_factory=dict)
    without_model: tuple[WithoutModel, ...] = ()
    notes: tuple[str, ...] = ()

    def with_encoding(
        self,
        skipped: Sequence[Skip],
        *,
        train: int,
        eval: int,
        truncated: Sequence[str] = (),
        changed: Sequence[tuple[str, str]] = (),
        lengths: Sequence[int] = (),
        supervised: int = 0,
    ) -> DataReport:
        """The report after encoding.

        Args:
            skipped: rows that the task left out, of both parts.
            train: encoded rows to learn from.
            eval: encoded rows to evaluate on.
            truncated: ids of rows whose prompt was cut; they are kept.
            changed: ids of pictures that were changed before they were seen, and how.
            lengths: tokens of each training row.
            supervised: tokens that carry loss, over all training rows.
        """
        findings = self.findings
        for reason in dict.fromkeys(skip.reason for skip in skipped):
            more = [CleanFinding(skip.id, skip.id, skip.detail) for skip in skipped if skip.reason == reason]
            findings = findings.with_more(reason, more, dropped=True)
        cut = [CleanFinding(row_id, row_id, "its start was cut") for row_id in truncated]
        findings = findings.with_more("truncated", cut, dropped=False)
        if changed:
            noted = [CleanFinding(row_id, row_id, note) for row_id, note in changed]
            findings = findings.with_more("changed", noted, dropped=False)
        tokens = None
        if lengths:
            tokens = Tokens(sum(lengths), supervised, max(lengths), float(statistics.median(lengths)))
        return replace(self, train=train, eval=eval, findings=findings, tokens=tokens)

    def with_excluded(self, named: Collection[str], encoded: Sequence[str]) -> DataReport:
        """The report with the rows that the recipe leaves out by name.

        Args:
            named: their ids; cleaning or encoding may have left some out before.
            encoded: ids of the rows that could be learnt from.
        """
        if not named:
            return self
        excluded, anyway = [one for one in encoded if one in named], set(named) - set(encoded)
        empty = [CleanFinding(row_id, row_id, "its places in steps stay empty") for row_id in excluded]
        findings = self.findings.with_more("excluded", empty, dropped=True)
        note = f"note: {len(anyway):,} of the rows in `data.exclude` would be left out anyway"
        notes = [f"{note}, such as {min(anyway)}"] if anyway else []
        return replace(self, findings=findings, notes=(*self.notes, *notes))

    def chosen(self, seed: int) -> tuple[str, ...]:
        """Sentences about rows of which not all are used."""
        said = []
        for source in self.sources:
            if source.taken == "sample":
                drawn = f"a sample, drawn evenly with seed {seed}"
                said.append(f"{source.source}: {source.rows:,} of {source.of:,} rows, {drawn}")
            elif source.taken == "first":
                said.append(f"{source.source}: the first {source.rows:,} rows alone")
        if self.eval_of is not None:
            said.append(
                f"evaluation: {self.eval:,} of {self.eval_of:,} rows, a sample drawn with seed {seed}"
            )
        return tuple(said)

    def to_dict(self) -> dict[str, Any]:
        """The report as ``data.json`` holds it; near duplicates are absent where they were not sought."""
        found = _counts(self.findings.found)
        dropped = _counts(self.findings.dropped)
        if not self.looked_for_near:
            del found["near_duplicates"], dropped["near_duplicates"]
        tokens = self.tokens
        return {
            "sources": [source.to_dict() for source in self.sources],
            "train": self.train,
            "eval": self.eval,
            **({"eval_of": self.eval_of} if self.eval_of is not None else {}),
            **({"test": self.test} if self.test else {}),
            **({"sets": dict(self.sets)} if self.sets else {}),
            **({"classes": {part: dict(one) for part, one in self.classes.items()}} if self.classes else {}),
            **({"without_model": [_plain(one) for one in self.without_model]} if self.without_model else {}),
            "found": found,
            "dropped": dropped,
            **({"notes": list(self.notes)} if self.notes else {}),
            "examples_of": {
                reason: [{"id": each.id, "detail": each.detail} for each in examples]
                for reason, examples in self.findings.examples.items()
            },
            "tokens": tokens
            and {
                "total": tokens.total,
                "supervised": tokens.supervised,
                "longest": tokens.longest,
                "median": tokens.median,
            },
            "fingerprint": self.fingerprint,
        }


def _plain(one: WithoutModel) -> dict[str, Any]:
    return {"name": one.name, "metrics": dict(one.metrics)}


def _counts(counts: Mapping[str, int]) -> dict[str, int]:
    return {reason: counts.get(reason, 0) for reason in dict.fromkeys((*REASONS, *counts))}

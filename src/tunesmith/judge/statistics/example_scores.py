"""What each evaluation example gave, kept in few characters: the ground of every paired comparison."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.compute import find_metric
from tunesmith.metrics.metric import ScoredRow, ratio
from tunesmith.metrics.statistics import MOST_VISITS, Recomputed, Statistics, statistics, sums_of

Array = NDArray[np.float64]
_LARGEST = 50_000_000  # numbers; a text that claims more is not ours
_TYPES = {"i": "<i4", "h": "<f2", "f": "<f4"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """One metric over the examples of one measurement: the metric is ``sum(totals) / sum(counts)``.

    Attributes:
        step: of the measurement.
        totals: per example, e.g. 1 for a hit, or the loss summed over its tokens.
        counts: per example, what the total is a total of; 1 where the metric is a mean over examples.
    """

    step: int
    totals: Array
    counts: Array

    @property
    def value(self) -> float:
        """The metric."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(self.totals.sum() / self.counts.sum())

    def first(self, examples: int) -> Scores:
        """The first so many examples alone."""
        return Scores(step=self.step, totals=self.totals[:examples], counts=self.counts[:examples])


def scores_of(step: int, totals: Sequence[float], counts: Sequence[float] | None = None) -> Scores:
    """Scores from plain numbers; without counts a mean over examples.

    Raises:
        ValueError: if there are not as many counts as totals.
    """
    values = np.asarray(totals, np.float64)
    weights = np.ones_like(values) if counts is None else np.asarray(counts, np.float64)
    if values.shape != weights.shape or values.ndim != 1:
        raise ValueError(f"{values.shape} totals and {weights.shape} counts do not belong together")
    return Scores(step=step, totals=values, counts=weights)


def scores_to_plain(scores: Scores) -> dict[str, object]:
    """Scores as values that JSON can hold: some 4 bytes an example, a bit where all are 0 or 1."""
    plain: dict[str, object] = {"step": scores.step, "totals": pack_numbers(scores.totals)}
    if not (scores.counts == 1).all():
        plain["counts"] = pack_numbers(scores.counts)
    return plain


def scores_from_plain(plain: Mapping[str, Any]) -> Scores:
    """What ``scores_to_plain`` wrote.

    Raises:
        ValueError: if it was not.
    """
    counts = unpack(plain["counts"]) if "counts" in plain else None
    return scores_of(
        int(plain["step"]), list(unpack(plain["totals"])), counts if counts is None else list(counts)
    )


def pack_numbers(values: Sequence[float] | Array, *, half: bool = False) -> str:
    """Numbers as a short text: bits where all are 0 or 1, whole numbers, else 32-bit floats.

    Args:
        values: shape ``[n]``.
        half: keep 3 digits instead of 7.
    """
    array = np.asarray(values, np.float64)
    if np.isin(array, (0.0, 1.0)).all():
        return _text("b", len(array), np.packbits(array.astype(bool)).tobytes())
    whole = np.isfinite(array).all() and (array == np.rint(array)).all() and (np.abs(array) < 2**31).all()
    kind = "i" if whole else "h" if half else "f"
    with np.errstate(over="ignore"):
        stored = array.astype(_TYPES[kind])
    # bytes of equal weight side by side compress better
    return _text(kind, len(array), stored.view(np.uint8).reshape(len(array), -1).T.tobytes())


def _text(kind: str, count: int, data: bytes) -> str:
    return f"{kind}{count}:{base64.b85encode(zlib.compress(data, 9)).decode('ascii')}"


def unpack(text: str) -> Array:
    """What ``pack_numbers`` wrote, shape ``[n]``.

    Raises:
        ValueError: if it is damaged, or was never written by ``pack_numbers``.
    """
    head, colon, body = text.partition(":")
    kind, number = head[:1], head[1:]
    if not colon or kind not in {"b", *_TYPES} or not number.isdecimal() or int(number) > _LARGEST:
        raise ValueError("these are not packed scores")
    count = int(number)
    size = (count + 7) // 8 if kind == "b" else count * np.dtype(_TYPES[kind]).itemsize
    try:
        inflate = zlib.decompressobj()
        data = inflate.decompress(base64.b85decode(body), size + 1)
    except (ValueError, zlib.error, binascii.Error):
        raise ValueError("packed scores are damaged") from None
    if len(data) != size:
        raise ValueError(f"packed scores are damaged: {len(data)} bytes for {count} examples")
    raw = np.frombuffer(data, np.uint8)
    if kind == "b":
        return np.unpackbits(raw, count=count).astype(np.float64)
    stored = np.ascontiguousarray(raw.reshape(-1, count).T) if count else raw
    return stored.view(_TYPES[kind]).reshape(count).astype(np.float64)


def example_scores(name: str, step: int, rows: Sequence[ScoredRow]) -> Scores | None:
    """Scores of one metric over scored examples.

    Losses and token accuracy are ratios of sums as they stand, and so are means over examples. Every other
    metric (macro-F1, Pearson's r, BLEU, perplexity) gives its pseudo-values, ROC AUC its examples' shares.

    Returns:
        ``None`` where the metric has no value, or would have to be computed again for too many examples.
    """
    metric = find_metric(name)
    if metric.influence is not None:
        shares = metric.influence(rows) if rows else None
        return None if shares is None else scores_of(step, list(shares))
    if metric.combine is ratio and metric.link is None:
        stats = sums_of(metric, rows)
        return None if stats is None else scores_of(step, list(stats.rows[:, 0]), list(stats.rows[:, 1]))
    found = statistics(name, rows)
    if isinstance(found, Statistics):
        return scores_of(step, list(pseudo_values(found)))
    dear = len(rows) ** 2 > MOST_VISITS or len(rows) > metric.resamples
    return None if dear else scores_of(step, list(_recomputed_values(found)))


def _recomputed_values(found: Recomputed) -> Array:
    """Pseudo-values of a metric that is computed again without each example."""
    examples = len(found.rows)
    if examples < 2:
        return np.full(examples, np.nan)
    places = np.arange(examples)
    without = np.array([found.value(np.delete(places, place)) for place in places])
    values: Array = examples * found.value(places) - (examples - 1) * without
    return values


def pseudo_values(stats: Statistics) -> Array:
    """The jackknife's pseudo-values, shape ``[examples]``: ``n v - (n - 1) v_without_i``.

    Their mean is the metric (less its bias of order 1/n) and their spread gives its error, so that a
    metric of sums can be treated as a mean over examples (Tukey 1958; Efron and Tibshirani 1993, chapter
    11). For a mean they are the values themselves.
    """
    examples, whole = len(stats.rows), stats.rows.sum(axis=0)
    if examples < 2:
        return np.full(examples, np.nan)
    without = stats.combine(whole - stats.rows)
    values: Array = examples * stats.combine(whole[None, :])[0] - (examples - 1) * without
    return values

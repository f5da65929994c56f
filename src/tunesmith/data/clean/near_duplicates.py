"""Near duplicates: texts whose sets of word 3-grams overlap almost wholly.

MinHash signatures (Broder, 1997) find candidates through banded locality-sensitive hashing; each candidate is
then verified with the exact Jaccard similarity, so that nothing is called near that is not. At the threshold
itself a pair is missed with a probability below 1 in 1000, and above it far more rarely.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_PERMUTATIONS = 128
_MISS = 1e-3
_MANY = 8
_BLOCK = 1 << 14
# Chinese and Japanese do not part words by blanks: there, every character counts as a word.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+")
_WORD_OR_SIGN = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+|[^\w\s]")

Grams = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sketches:
    """What near duplicates are sought by.

    Attributes:
        grams: per text, its set of 3-grams as sorted numbers; empty for blank text.
        signatures: shape (texts, permutations): the least hash of the set under each permutation.
    """

    grams: list[Grams]
    signatures: NDArray[np.uint64]


def shingles_of(text: str) -> list[str]:
    """Words in lower case; of a text with fewer than three, its signs too, for they may be what it says."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = _WORD.findall(folded)
    return words if len(words) >= 3 else _WORD_OR_SIGN.findall(folded)


def sketch(texts: Sequence[str], seed: int = 0) -> Sketches:
    """3-grams and signatures of all texts; a text of fewer than three words is one gram."""
    grams = _gram_sets(texts)
    return Sketches(grams, _signatures(grams, seed))


def jaccard(one: Grams, other: Grams) -> float:
    """Size of the intersection over size of the union; both sorted without repeats."""
    if not len(one) or not len(other):
        return 0.0
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)


def near_duplicates(texts: Sequence[str], threshold: float) -> dict[int, int]:
    """Texts that are near to an earlier one that is kept: index -> index of that one."""
    return _search(sketch(texts), threshold, fixed=0)


def near_matches(texts: Sequence[str], others: Sequence[str], threshold: float) -> dict[int, int]:
    """Texts that are near to any of ``others``: index -> index of the other."""
    if not others:
        return {}
    found = _search(sketch([*others, *texts]), threshold, fixed=len(others))
    return {index - len(others): other for index, other in found.items()}


def band_rows(threshold: float) -> int:
    """Rows of the widest band that still finds a pair at the threshold (``1 - (1 - t^r)^b``)."""
    rows = 1
    for wider in range(2, _PERMUTATIONS + 1):
        if (1 - threshold**wider) ** (_PERMUTATIONS // wider) > _MISS:
            break
        rows = wider
    return rows


def _search(sketches: Sketches, threshold: float, fixed: int) -> dict[int, int]:
    """Go through the texts in order; without ``fixed``, each text that is kept joins those compared with.

    Args:
        sketches: of all texts.
        threshold: least Jaccard similarity.
        fixed: so many texts at the start are what the others are compared with; 0: see above.
    """
    keys = _band_keys(sketches.signatures, band_rows(threshold))
    buckets: list[dict[int, list[int]]] = [{} for _ in range(keys.shape[1])]
    found: dict[int, int] = {}
    for index, row_keys in enumerate(keys.tolist()):
        if not len(sketches.grams[index]):
            continue
        if index >= fixed:
            near = _first_near(index, row_keys, buckets, sketches, threshold)
            if near is not None:
                found[index] = near
                continue
        if index < fixed or fixed == 0:
            for bucket, key in zip(buckets, row_keys, strict=True):
                bucket.setdefault(key, []).append(index)
    return found


def _first_near(
    index: int, row_keys: list[int], buckets: list[dict[int, list[int]]], sketches: Sketches, threshold: float
) -> int | None:
    candidates = {
        other for bucket, key in zip(buckets, row_keys, strict=True) for other in bucket.get(key, ())
    }
    own = sketches.grams[index]
    for other in _promising(index, sorted(candidates), sketches.signatures, threshold):
        theirs = sketches.grams[other]
        small, large = sorted((len(own), len(theirs)))
        if small >= threshold * large and jaccard(own, theirs) >= threshold:
            return other
    return None


def _promising(
    index: int, candidates: list[int], signatures: NDArray[np.uint64], threshold: float
) -> list[int]:
    """Of many candidates, those whose signatures agree nearly enough.

    The share of equal places estimates the similarity with a standard deviation of
    ``sqrt(t * (1 - t) / permutations)``; four of them leave one near pair in 30,000 out. Without this, rows
    that share much boilerplate would all be compared with each other.
    """
    if len(candidates) < _MANY:
        return candidates
    agreeing = (signatures[candidates] == signatures[index]).mean(axis=1)
    least = threshold - 4 * (threshold * (1 - threshold) / _PERMUTATIONS) ** 0.5
    return [other for other, share in zip(candidates, agreeing, strict=True) if share >= least]


def _gram_sets(texts: Sequence[str]) -> list[Grams]:
    vocabulary: defaultdict[str, int] = defaultdict()
    vocabulary.default_factory = vocabulary.__len__
    ids: list[int] = []
    lengths: list[int] = []
    for text in texts:
        words = shingles_of(text)
        # Texts of one or two words are filled up, so that they too have one gram.
        padded = words + [""] * (3 - len(words)) if words else []
        ids.extend(map(vocabulary.__getitem__, padded))
        lengths.append(len(padded))
    flat = np.asarray(ids, dtype=np.int64)
    grams, inside = _number_grams(flat, np.asarray(lengths, dtype=np.int64), len(vocabulary))
    if not len(grams):
        return [grams for _ in texts]
    distinct = int(grams.max()) + 1
    keys = np.sort(np.repeat(np.arange(len(texts)), inside) * distinct + grams)  # all texts at once
    owners, grams = np.divmod(keys[np.append(True, keys[1:] != keys[:-1])], distinct)
    return np.split(grams, np.searchsorted(owners, np.arange(1, len(texts))))


def _number_grams(
    flat: NDArray[np.int64], lengths: NDArray[np.int64], words: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number every distinct 3-gram, exactly: pairs first, then pair and third word."""
    counts = np.maximum(lengths - 2, 0)
    if not counts.sum():
        return np.zeros(0, np.int64), counts
    text_starts = np.cumsum(lengths) - lengths
    gram_starts = np.cumsum(counts) - counts
    starts = np.repeat(text_starts - gram_starts, counts) + np.arange(counts.sum())
    pairs = np.unique(flat[starts] * words + flat[starts + 1], return_inverse=True)[1]
    grams = np.unique(pairs * words + flat[starts + 2], return_inverse=True)[1]
    return grams.astype(np.int64), counts


def _signatures(grams: Sequence[Grams], seed: int) -> NDArray[np.uint64]:
    """For each text and permutation the least hash: multiply, add, high bits (Dietzfelbinger, 1996)."""
    signatures = np.zeros((len(grams), _PERMUTATIONS), dtype=np.uint64)
    numbers = np.arange(2 * _PERMUTATIONS, dtype=np.uint64) + np.uint64(seed << 20)
    factors, summands = np.split(_mix(numbers), 2)
    for texts in _blocks(grams):
        flat = _mix(np.concatenate([grams[index] for index in texts]).astype(np.uint64))
        sizes = np.asarray([len(grams[index]) for index in texts])
        starts = np.cumsum(sizes) - sizes
        hashes = np.empty_like(flat)
        for column, (factor, summand) in enumerate(zip(factors | np.uint64(1), summands, strict=True)):
            np.multiply(flat, factor, out=hashes)
            np.add(hashes, summand, out=hashes)
            np.right_shift(hashes, np.uint64(16), out=hashes)
            signatures[texts, column] = np.minimum.reduceat(hashes, starts)
    return signatures


def _blocks(grams: Sequence[Grams]) -> Iterator[list[int]]:
    """Texts that are not blank, so many at a time that their hashes stay in a core's cache."""
    block: list[int] = []
    room = _BLOCK
    for index, each in enumerate(grams):
        if len(each):
            block.append(index)
            room -= len(each)
        if room <= 0:
            yield block
            block, room = [], _BLOCK
    if block:
        yield block


def _band_keys(signatures: NDArray[np.uint64], rows: int) -> NDArray[np.uint64]:
    bands = _PERMUTATIONS // rows
    keys = np.zeros((len(signatures), bands), dtype=np.uint64)
    for row in range(rows):
        keys = _mix(keys * np.uint64(31) + signatures[:, row : bands * rows : rows])
    return keys


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A bijection of 64 bits that looks random (the finaliser of splitmix64; Steele and others, 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))

"""Near duplicates against the definition, computed by brute force."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.data.clean.near_duplicates import (
    band_rows,
    jaccard,
    near_duplicates,
    near_matches,
    shingles_of,
    sketch,
)


def grams(text: str) -> set[tuple[str, ...]]:
    words = shingles_of(text)
    if not words:
        return set()
    return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def similarity(one: str, other: str) -> float:
    a, b = grams(one), grams(other)
    return len(a & b) / len(a | b) if a and b else 0.0


texts = st.lists(st.lists(st.sampled_from("abcd"), max_size=9).map(" ".join), max_size=12)


@given(texts)
def test_jaccard_is_exact(some) -> None:
    sets = sketch(some).grams
    for i, one in enumerate(some):
        for j, other in enumerate(some):
            assert jaccard(sets[i], sets[j]) == pytest.approx(similarity(one, other))


@settings(max_examples=50)
@given(texts, st.sampled_from([0.3, 0.5, 0.85, 1.0]))
def test_what_is_found_is_near_and_what_is_kept_is_far(some, threshold) -> None:
    found = near_duplicates(some, threshold)
    for index, other in found.items():
        assert other < index
        assert other not in found, "compared with rows that stay"
        assert similarity(some[index], some[other]) >= threshold
    kept = [index for index in range(len(some)) if index not in found]
    missed = [(i, j) for i in kept for j in kept if i < j and similarity(some[i], some[j]) >= threshold]
    assert not missed


def test_one_changed_word_in_a_long_text_is_near_and_in_a_short_one_is_not() -> None:
    long = " ".join(f"word{number}" for number in range(60))
    assert near_duplicates([long, long.replace("word30", "other")], 0.85) == {1: 0}
    assert near_duplicates(["Who was the first man", "Who was the first woman"], 0.85) == {}


def test_case_and_punctuation_do_not_hide_a_copy_but_signs_of_short_texts_count() -> None:
    assert near_duplicates(["Stupid rain! Go away!!", "stupid rain, go AWAY"], 0.85) == {1: 0}
    assert near_duplicates(["ok :)", "ok :("], 0.85) == {}
    assert near_duplicates(["", "", "!", "?"], 0.85) == {}


def test_languages_without_blanks_have_words_too() -> None:
    text = "\u4eca\u5929\u5929\u6c14\u5f88\u597d\u6211\u4eec\u53bb\u516c\u56ed\u6563\u6b65\u5427" * 2
    assert len(shingles_of(text)) == 28
    assert near_duplicates([text, text[:-1] + "\u554a"], 0.8) == {1: 0}


def test_matches_with_others_are_not_matches_among_themselves() -> None:
    train, held_out = ["a b c d", "a b c d", "x y z w"], ["x y z w", "p q r s"]
    assert near_matches(train, held_out, 0.85) == {2: 0}
    assert near_matches(train, [], 0.85) == {}


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.7, 0.85, 0.95, 1.0])
def test_bands_find_a_pair_at_the_threshold(threshold) -> None:
    rows = band_rows(threshold)
    missed = (1 - threshold**rows) ** (128 // rows)
    assert missed <= 1e-3 or rows == 1


def test_recall_over_many_pairs_just_above_the_threshold() -> None:
    rng = random.Random(0)
    some = []
    for pair in range(300):
        words = [f"{pair}x{number}" for number in range(60)]
        some.append(" ".join(words))
        words[rng.randrange(3, 57)] = "changed"
        some.append(" ".join(words))
    pairs = [similarity(some[2 * n], some[2 * n + 1]) for n in range(300)]
    assert min(pairs) >= 0.85
    assert len(near_duplicates(some, 0.85)) >= 298


def test_shared_boilerplate_neither_matches_nor_takes_long() -> None:
    rng = random.Random(0)
    start = " ".join(f"w{number}" for number in range(40))
    some = [start + "".join(f" {rng.random()}" for _ in range(12)) for _ in range(400)]
    assert near_duplicates(some, 0.85) == {}

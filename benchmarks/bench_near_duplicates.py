"""Near duplicates: ours beside `rensa` and `datasketch`, on the same 3-grams of words.

    python benchmarks/bench_near_duplicates.py [--rows 20000]

Every third text is a copy of an earlier one in which some words are changed, so that its similarity lies
around the threshold. Which pairs are near is known by definition: the exact Jaccard similarity of each copy
and its original. For each way: seconds of computing, near copies that were missed, and rows that were taken
for copies and are none. The libraries' candidates are told with and without an exact check of each.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence

from tunesmith.data.clean.near_duplicates import near_duplicates, shingles_of

THRESHOLD, PERMUTATIONS, BANDS = 0.85, 126, 18
"""Bands of seven: one pair in a thousand is missed at the threshold, as by ours."""
Found = dict[int, int]


def texts_of(count: int) -> list[str]:
    """Texts of 30 to 120 words of a vocabulary of 5,000; every third is an earlier one with changes."""
    draw = random.Random(0)
    words = [f"w{number}" for number in range(5000)]
    made: list[list[str]] = []
    for number in range(count):
        if number % 3 == 2:
            text = list(made[draw.randrange(len(made))])
            for _ in range(draw.randrange(4)):
                text[draw.randrange(len(text))] = draw.choice(words)
        else:
            text = draw.choices(words, k=draw.randrange(30, 120))
        made.append(text)
    return [" ".join(text) for text in made]


def grams_of(text: str) -> set[str]:
    words = shingles_of(text)
    return {" ".join(words[at : at + 3]) for at in range(max(1, len(words) - 2))}


def exact(texts: Sequence[str]) -> Found:
    """The definition, by an index of every 3-gram: nothing is missed, and nothing is guessed."""
    by_gram: dict[str, list[int]] = {}
    sizes: list[int] = []
    found: Found = {}
    for index, text in enumerate(texts):
        grams = grams_of(text)
        sizes.append(len(grams))
        shared: dict[int, int] = {}
        for gram in grams:
            for other in by_gram.get(gram, ()):
                shared[other] = shared.get(other, 0) + 1
        near = [o for o, both in shared.items() if both / (sizes[o] + len(grams) - both) >= THRESHOLD]
        if near:
            found[index] = min(near)
            continue
        for gram in grams:
            by_gram.setdefault(gram, []).append(index)
    return found


def by_datasketch(texts: Sequence[str], *, verify: bool) -> Found:
    from datasketch import MinHash, MinHashLSH

    lsh = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, PERMUTATIONS // BANDS))
    grams = [grams_of(text) for text in texts]
    sketches = MinHash.bulk(([gram.encode() for gram in each] for each in grams), num_perm=PERMUTATIONS)
    found: Found = {}
    for index, sketch in enumerate(sketches):
        near = sorted(lsh.query(sketch))
        near = [other for other in near if not verify or _jaccard(grams[index], grams[other]) >= THRESHOLD]
        if near:
            found[index] = near[0]
        else:
            lsh.insert(index, sketch)
    return found


def by_rensa(texts: Sequence[str], *, verify: bool) -> Found:
    from rensa import RMinHash, RMinHashLSH

    lsh = RMinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS, num_bands=BANDS)
    grams = [grams_of(text) for text in texts]
    found: Found = {}
    for index, each in enumerate(grams):
        sketch = RMinHash(num_perm=PERMUTATIONS, seed=0)
        sketch.update(list(each))
        near = sorted(lsh.query(sketch))
        near = [other for other in near if not verify or _jaccard(each, grams[other]) >= THRESHOLD]
        if near:
            found[index] = near[0]
        else:
            lsh.insert(index, sketch)
    return found


def _jaccard(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000)
    texts = texts_of(parser.parse_args().rows)
    known = exact(texts)
    print(f"{len(texts):,} texts, {len(known):,} near an earlier one that is kept, threshold {THRESHOLD}")
    ways: dict[str, Callable[[], Found]] = {
        "ours": lambda: near_duplicates(texts, THRESHOLD),
        "rensa": lambda: by_rensa(texts, verify=False),
        "rensa, verified": lambda: by_rensa(texts, verify=True),
        "datasketch": lambda: by_datasketch(texts, verify=False),
        "datasketch, verified": lambda: by_datasketch(texts, verify=True),
    }
    for name, find in ways.items():
        before = time.process_time()
        found = find()
        seconds = time.process_time() - before
        missed, wrong = len(known.keys() - found.keys()), len(found.keys() - known.keys())
        print(f"{name:22} {seconds:6.1f} s   {missed:5} missed   {wrong:5} wrongly taken")


if __name__ == "__main__":
    main()

"""How one prediction is compared with one reference: plain functions, no library at import.

Which normalisation each metric applies is a choice, and it is written here:

* ``exact_match``: outer blanks removed, inner runs of blanks made one; case and punctuation count.
* ``f1``: SQuAD's: lower case, ASCII punctuation removed, English articles removed, split at blanks.
* ``rouge_l``: rouge-score's own tokenizer without stemming: lower case, only ``a-z0-9`` survive, so
  that text in other scripts scores 0.
* ``accuracy``: the two labels as text, outer blanks removed.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from functools import lru_cache
from typing import Any

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def collapse_blanks(text: str) -> str:
    """``text`` without outer blanks and with every inner run of white space as one blank."""
    return " ".join(text.split())


def exact_match(prediction: str, reference: str) -> float:
    """1 if the two are the same text after ``collapse_blanks``, else 0. Case counts."""
    return float(collapse_blanks(prediction) == collapse_blanks(reference))


def squad_tokens(text: str) -> list[str]:
    """Words as SQuAD's evaluation sees them (arXiv 1606.05250): no case, punctuation or articles."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def token_f1(prediction: str, reference: str) -> float:
    """Harmonic mean of token precision and recall over the multisets of ``squad_tokens``.

    With an empty side it is 1 if both are empty, else 0, as in SQuAD 2.0 (arXiv 1806.03822).
    """
    ours, theirs = squad_tokens(prediction), squad_tokens(reference)
    if not ours or not theirs:
        return float(ours == theirs)
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * shared / (len(ours) + len(theirs))


@lru_cache(maxsize=1)
def _rouge_scorer() -> Any:
    from rouge_score import rouge_scorer

    return rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)


def rouge_l(prediction: str, reference: str) -> float:
    """F-measure of the longest common subsequence of words (Lin 2004), by rouge-score; 0 if one is empty."""
    return float(_rouge_scorer().score(reference, prediction)["rougeL"].fmeasure)


def label_match(prediction: object, reference: object) -> float:
    """1 if the two labels read the same, else 0; ``3`` and ``"3"`` are one label."""
    return float(as_label(prediction) == as_label(reference))


def as_label(value: object) -> str:
    """A label as text, without outer blanks."""
    return str(value).strip()


def squared_error(prediction: float, reference: float) -> float:
    """Squared difference of two numbers, in the target's unit squared."""
    difference = float(prediction) - float(reference)
    return difference * difference  # `** 2` raises where this gives infinity

"""Texts against their references; how two texts are compared stands in ``match.py``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tunesmith.metrics.match import exact_match, rouge_l, token_f1
from tunesmith.metrics.metric import Metric, ScoredRow

if TYPE_CHECKING:
    from tunesmith.metrics.metric import Array


def _pairs(rows: Sequence[ScoredRow]) -> tuple[list[str], list[str]]:
    return [_storable(str(row.prediction)) for row in rows], [_storable(str(row.reference)) for row in rows]


def _storable(text: str) -> str:
    """``text`` with lone surrogates, which no UTF-8 column can hold, written out as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _compared(compare: Callable[[str, str], float]) -> Callable[[ScoredRow], float]:
    return lambda row: compare(str(row.prediction), str(row.reference))


def _bleu(rows: Sequence[ScoredRow]) -> float:
    """Corpus BLEU by sacrebleu with its defaults: 13a tokens, exponential smoothing.

    It is 0 where no text has four words, since it counts 4-grams.
    """
    from sacrebleu.metrics import BLEU

    predictions, references = _pairs(rows)
    return float(BLEU(force=True).corpus_score(predictions, [references]).score) / 100


def _bleu_counts(rows: Sequence[ScoredRow]) -> Array:
    """Matches and totals of 1- to 4-grams, and the two lengths: shape ``[n, 10]``."""
    import numpy as np
    from sacrebleu.metrics import BLEU

    bleu = BLEU(force=True)
    scores = [bleu.corpus_score([str(row.prediction)], [[str(row.reference)]]) for row in rows]
    counts = [[*score.counts, *score.totals, score.sys_len, score.ref_len] for score in scores]
    return np.asarray(counts, np.float64)


def _bleu_of_counts(sums: Array) -> Array:
    import numpy as np
    from sacrebleu.metrics import BLEU

    def value(row: Array) -> float:
        whole = [int(number) for number in np.rint(row)]
        found: Any = BLEU.compute_bleu(whole[0:4], whole[4:8], whole[8], whole[9], smooth_method="exp")
        return float(found.score) / 100

    return np.apply_along_axis(value, -1, sums)


def _chrf(rows: Sequence[ScoredRow]) -> float:
    """Corpus chrF2 by sacrebleu with its defaults: characters 1 to 6, no words."""
    from sacrebleu.metrics import CHRF

    predictions, references = _pairs(rows)
    return float(CHRF().corpus_score(predictions, [references]).score) / 100


def _chrf_counts(rows: Sequence[ScoredRow]) -> Array:
    """N-grams of each answer, of its reference, and of both, by length: shape ``[n, 18]``."""
    import numpy as np
    from sacrebleu.metrics import CHRF

    predictions, references = _pairs(rows)
    return np.asarray(CHRF()._extract_corpus_statistics(predictions, [references]), np.float64)


def _chrf_of_counts(sums: Array) -> Array:
    import numpy as np
    from sacrebleu.metrics import CHRF

    chrf = CHRF()

    def value(row: Array) -> float:
        return float(chrf._compute_score_from_stats([int(number) for number in np.rint(row)]).score) / 100

    return np.apply_along_axis(value, -1, sums)


METRICS = (
    Metric(
        name="exact_match",
        needs="text",
        each=_compared(exact_match),
        proportion=True,
        equality=True,
        meaning="share of answers equal to the reference, blanks aside",
    ),
    Metric(name="f1", needs="text", each=_compared(token_f1), meaning="mean overlap of words, as in SQuAD"),
    Metric(
        name="rouge_l",
        needs="text",
        each=_compared(rouge_l),
        meaning="mean F-measure of the longest common subsequence",
    ),
    Metric(
        name="bleu",
        needs="text",
        statistics=_bleu_counts,
        combine=_bleu_of_counts,
        whole=_bleu,
        meaning="corpus BLEU of sacrebleu, divided by 100",
    ),
    Metric(
        name="chrf",
        needs="text",
        statistics=_chrf_counts,
        combine=_chrf_of_counts,
        whole=_chrf,
        meaning="corpus chrF2 of sacrebleu, divided by 100",
    ),
)

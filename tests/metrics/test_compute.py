"""Every metric against the library that defines it, and at the edges."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sacrebleu
import scipy.stats
import sklearn.metrics
from rouge_score.rouge_scorer import RougeScorer

from tunesmith.errors import UserError
from tunesmith.metrics.compute import compute, confusion_matrix, each_value, find_metric, metric_value
from tunesmith.metrics.families.likelihood import from_sums
from tunesmith.metrics.metric import AnsweredRow, answered
from tunesmith.metrics.table import METRICS

PREDICTIONS = [
    "The cat sat on the mat and looked at the moon.",
    "A quick brown fox jumps over a lazy dog today",
    "",
    "entirely different words here, nothing shared at all",
    "same text as the reference, word for word",
]
REFERENCES = [
    "The cat sat on the mat and looked at the stars.",
    "The quick brown fox jumped over the lazy dog",
    "an answer was wanted",
    "what was asked for",
    "same text as the reference, word for word",
]
TRUE = ["a", "b", "c", "a", "b", "c", "a", "d"]
GUESS = ["a", "b", "b", "a", "c", "c", "b", "e"]
X = [0.1, 2.0, -3.0, 4.5, 0.0, 1.25]
Y = [0.0, 2.5, -2.0, 4.0, 1.0, 1.0]


def test_exact_match() -> None:
    assert compute("exact_match", PREDICTIONS, REFERENCES) == 1 / 5


def test_rouge_l_is_the_librarys() -> None:
    scorer = RougeScorer(["rougeL"])
    theirs = [scorer.score(r, p)["rougeL"].fmeasure for p, r in zip(PREDICTIONS, REFERENCES, strict=True)]
    assert compute("rouge_l", PREDICTIONS, REFERENCES) == pytest.approx(np.mean(theirs), abs=1e-12)
    assert each_value(METRICS["rouge_l"], answered(PREDICTIONS, REFERENCES)) == theirs


def test_bleu_and_chrf_are_sacrebleus_as_fractions() -> None:
    bleu, chrf = (
        sacrebleu.corpus_bleu(PREDICTIONS, [REFERENCES]),
        sacrebleu.corpus_chrf(PREDICTIONS, [REFERENCES]),
    )
    assert compute("bleu", PREDICTIONS, REFERENCES) == pytest.approx(bleu.score / 100, abs=1e-12)
    assert compute("chrf", PREDICTIONS, REFERENCES) == pytest.approx(chrf.score / 100, abs=1e-12)
    assert 0 < bleu.score < 100
    assert compute("bleu", REFERENCES, REFERENCES) == pytest.approx(1.0)
    assert compute("chrf", REFERENCES, REFERENCES) == pytest.approx(1.0)


def test_accuracy_and_macro_f1_are_scikit_learns() -> None:
    assert compute("accuracy", GUESS, TRUE) == sklearn.metrics.accuracy_score(TRUE, GUESS)
    theirs = sklearn.metrics.f1_score(TRUE, GUESS, average="macro", zero_division=0)
    assert compute("macro_f1", GUESS, TRUE) == theirs


def test_macro_f1_by_hand() -> None:
    # a: precision 1/2, recall 1 -> 2/3;  b: precision 1, recall 1/2 -> 2/3;  c: never right -> 0
    assert compute("macro_f1", ["a", "a", "b", "c"], ["a", "b", "b", "a"]) == pytest.approx(
        (1 / 2 + 2 / 3 + 0) / 3
    )


def test_labels_may_be_numbers() -> None:
    assert compute("accuracy", [np.int64(1), 2, "3"], [1, "2", 4]) == pytest.approx(2 / 3)


def test_mse_and_pearson_are_scipys() -> None:
    assert compute("mse", X, Y) == pytest.approx(sklearn.metrics.mean_squared_error(Y, X), abs=1e-12)
    assert compute("pearson", X, Y) == pytest.approx(scipy.stats.pearsonr(X, Y).statistic, abs=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1e-8, 1.0, 1e8])
def test_pearson_does_not_depend_on_scale_or_place(scale) -> None:
    moved = [1e3 * scale + x * scale for x in X]
    assert compute("pearson", moved, Y) == pytest.approx(scipy.stats.pearsonr(X, Y).statistic, abs=1e-9)


@pytest.mark.parametrize(
    ("ours", "theirs"), [([1.0] * 4, [1, 2, 3, 4]), ([1, 2, 3, 4], [2.0] * 4), ([1.0], [2.0])]
)
def test_pearson_of_constants_is_not_a_number(ours, theirs) -> None:
    assert math.isnan(compute("pearson", ours, theirs))


def test_numbers_that_are_not_finite_stay_visible() -> None:
    assert math.isnan(compute("mse", [math.nan, 1.0], [1.0, 1.0]))
    assert compute("mse", [math.inf, 1.0], [1.0, 1.0]) == math.inf
    assert math.isnan(compute("pearson", [math.nan, 1.0, 2.0], [1.0, 2.0, 3.0]))


ON_PREDICTIONS = [name for name, spec in METRICS.items() if spec.needs_predictions and not spec.of_class]


@pytest.mark.parametrize("name", ON_PREDICTIONS)
def test_no_example_has_no_value(name) -> None:
    assert math.isnan(compute(name, [], []))


@pytest.mark.parametrize("name", ["exact_match", "f1", "rouge_l", "bleu", "chrf"])
def test_empty_answers_score_nothing(name) -> None:
    assert compute(name, ["", ""], ["an answer was wanted", "and another one"]) == 0


@pytest.mark.parametrize("name", ["exact_match", "f1", "rouge_l", "bleu", "chrf"])
def test_text_may_hold_anything(name) -> None:
    strange = ["\ud800 lone surrogate", "\x00 null", "🙂 emoji", "e\u0301 accent", "\u2028 separator"]
    assert 0 <= compute(name, strange, strange[::-1]) <= 1


def rows_for(name: str) -> list[AnsweredRow]:
    if METRICS[name].needs in ("given", "values"):
        given = {name: 0.25, "confidence": 0.75, "rank": 3.0}
        return [
            AnsweredRow("a", truth, given=given, values={"a": -0.1, "b": -2.5 + 0.1 * place})
            for place, truth in enumerate(["a", "b", "b", "a"])
        ]
    tags = (["B-A I-A O", "O", "B-B", "B-A O"], ["B-A I-A O", "B-A", "B-A", "B-A O"])
    sides = {"text": (PREDICTIONS, REFERENCES), "label": (GUESS, TRUE), "number": (X, Y), "any": tags}
    return answered(*sides[METRICS[name].needs])


@pytest.mark.parametrize("name", ON_PREDICTIONS)
def test_a_mean_over_examples_is_the_metric(name) -> None:
    metric = METRICS[name]
    if metric.each is not None:
        rows = rows_for(name)
        assert metric_value(name, rows) == pytest.approx(np.mean(each_value(metric, rows)), abs=1e-12)
    else:
        assert metric.combine or metric.influence or metric.whole, name


@pytest.mark.parametrize("name", ON_PREDICTIONS)
def test_a_value_lies_in_the_declared_range(name) -> None:
    assert METRICS[name].low <= metric_value(name, rows_for(name)) <= METRICS[name].high


def test_sums() -> None:
    losses, counts, correct = [2.0, 6.0], [1, 3], [1, 1]
    assert from_sums("loss", losses, counts, correct) == 2.0  # not the mean of the two means
    assert from_sums("perplexity", losses, counts, correct) == pytest.approx(math.e**2)
    assert from_sums("token_accuracy", losses, counts, correct) == 0.5


@pytest.mark.parametrize("name", ["loss", "perplexity", "token_accuracy"])
def test_sums_over_nothing_are_not_a_number(name) -> None:
    assert math.isnan(from_sums(name, [], [], []))
    assert math.isnan(from_sums(name, [0.0], [0], [0]))


def test_sums_do_not_depend_on_order_and_keep_what_is_not_finite() -> None:
    losses = list(np.random.default_rng(0).lognormal(size=999))
    there, back = (from_sums("loss", each, [1] * 999, [0] * 999) for each in (losses, losses[::-1]))
    assert there == back
    assert math.isnan(from_sums("loss", [math.nan, 1.0], [1, 1], [0, 0]))
    assert from_sums("loss", [math.inf, 1.0], [1, 1], [0, 0]) == math.inf
    assert from_sums("perplexity", [5000.0], [1], [0]) == math.inf
    assert math.isnan(from_sums("perplexity", [math.nan], [1], [0]))


def test_confusion_has_a_row_for_each_truth() -> None:
    counts = confusion_matrix(["x", "y", "z"], ["x", "y", "y", "z"], ["x", "x", "y", "y"])
    assert counts == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]
    theirs = sklearn.metrics.confusion_matrix(TRUE, GUESS, labels=list("abcde"))
    assert confusion_matrix(list("abcde"), GUESS, TRUE) == theirs.tolist()


def test_confusion_refuses_an_unknown_label() -> None:
    with pytest.raises(UserError, match="label `q`"):
        confusion_matrix(["x"], ["q"], ["x"])


def test_an_unknown_metric_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="unknown metric `exactmatch`"):
        find_metric("exactmatch")


@pytest.mark.slow
def test_nothing_is_left_behind_and_processes_do_not_meet(tmp_path: Path) -> None:
    """Two processes compute at once with one home; the home and the temporary folder stay empty."""
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    code = (
        "from tunesmith.metrics.compute import compute\n"
        "for name in ('exact_match', 'f1'):\n"
        "    for _ in range(20): print(compute(name, ['a', 'b'] * 50, ['a', 'c'] * 50))\n"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "XDG_"))}
    environment |= {"HOME": str(home), "TMPDIR": str(temporary), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", code]
    children = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
        for _ in range(2)
    ]
    for child in children:
        output, _ = child.communicate(timeout=240)
        assert child.returncode == 0
        assert set(output.split()) == {"0.5"}
    assert list(home.rglob("*")) == []
    assert list(temporary.rglob("*")) == []


@pytest.mark.parametrize(("names", "heavy"), [(["loss", "macro_f1"], False), (["loss", "exact_match"], True)])
def test_only_metrics_that_need_it_load_the_library(names, heavy) -> None:
    words = f"import sys; from tunesmith.metrics.compute import load_metrics; load_metrics({names}); "
    done = subprocess.run(
        [sys.executable, "-c", words + "print('sacrebleu' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(heavy)]

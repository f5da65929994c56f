"""ROC AUC and average precision against scikit-learn; their intervals and tests against resamples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.judge.statistics.example_scores import example_scores
from tunesmith.judge.statistics.intervals import metric_interval, recomputed_interval
from tunesmith.judge.statistics.paired import paired_test
from tunesmith.metrics.compute import find_metric, metric_value
from tunesmith.metrics.metric import AnsweredRow
from tunesmith.metrics.statistics import Recomputed

NAMES = ("roc_auc", "average_precision")
SKLEARN = {
    "roc_auc": sklearn.metrics.roc_auc_score,
    "average_precision": sklearn.metrics.average_precision_score,
}
# few different scores, so that many tie
PAIRS = st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=2, max_size=40)


def binary(chances, truth) -> list[AnsweredRow]:
    return [
        AnsweredRow("", "yes" if hit else "no", values={"no": math.log(1 - p), "yes": math.log(p)})
        for p, hit in zip(chances, truth, strict=True)
    ]


def several(count: int, seed: int, strength: float = 1.0) -> list[AnsweredRow]:
    draw = np.random.default_rng(seed)
    truth = np.random.default_rng(0).integers(0, 3, count)
    logits = draw.normal(size=(count, 3)) + strength * np.eye(3)[truth]
    chances = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return [
        AnsweredRow("", f"c{label}", values={f"c{k}": float(one[k]) for k in range(3)})
        for label, one in zip(truth, chances, strict=True)
    ]


@pytest.mark.parametrize("name", NAMES)
@given(pairs=PAIRS)
def test_of_one_class_it_is_scikit_learns(name, pairs) -> None:
    chances, truth = [score / 7 for score, _ in pairs], [hit for _, hit in pairs]
    value = metric_value(f"{name}[yes]", binary(chances, truth))
    if len(set(truth)) == 1:
        assert math.isnan(value)
    else:
        assert value == pytest.approx(SKLEARN[name](truth, chances), abs=1e-12)


@given(pairs=PAIRS)
def test_of_two_classes_the_area_is_one(pairs) -> None:
    rows = binary([score / 7 for score, _ in pairs], [hit for _, hit in pairs])
    areas = [metric_value(f"roc_auc{part}", rows) for part in ("", "[yes]", "[no]")]
    assert areas == pytest.approx([areas[0]] * 3, nan_ok=True)


def test_over_classes_it_is_scikit_learns_one_against_the_rest() -> None:
    rows = several(200, 1)
    truth = [row.reference for row in rows]
    chances = np.exp([list(row.values.values()) for row in rows])
    area = sklearn.metrics.roc_auc_score(truth, chances, multi_class="ovr", average="macro")
    assert metric_value("roc_auc", rows) == pytest.approx(area, abs=1e-12)
    hot = np.eye(3)[[int(label[1]) for label in truth]]
    precision = sklearn.metrics.average_precision_score(hot, chances, average="macro")
    assert metric_value("average_precision", rows) == pytest.approx(precision, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_class_that_no_row_has_is_left_out(name) -> None:
    rows = [row for row in several(200, 1) if row.reference != "c2"]
    parts = [metric_value(f"{name}[c{k}]", rows) for k in range(3)]
    assert math.isnan(parts[2])
    assert metric_value(name, rows) == pytest.approx(sum(parts[:2]) / 2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "rows",
    [
        binary([0.2, 0.7], [True, True]),
        [*binary([0.2, 0.7], [True, False]), AnsweredRow("", "yes", values={"no": 0.0, "yes": math.nan})],
        [*binary([0.2, 0.7], [True, False]), AnsweredRow("", "yes")],
        [AnsweredRow("", "yes"), AnsweredRow("", "no")],
    ],
    ids=["one class", "not a number", "a row without", "none"],
)
def test_where_there_is_no_value_there_is_none(name, rows) -> None:
    assert math.isnan(metric_value(name, rows))
    assert metric_interval(name, rows) is None
    assert example_scores(name, 1, rows) is None


@pytest.mark.parametrize("name", [*NAMES, "roc_auc[c1]", "average_precision[c1]"])
def test_the_interval_is_that_of_resamples(name) -> None:
    rows = several(300, 2)
    drawn = recomputed_interval(Recomputed(find_metric(name), rows))
    assert metric_interval(name, rows) == pytest.approx(drawn, abs=0.015)


def test_delongs_error_of_two_models_on_the_same_rows() -> None:
    """Components as DeLong et al. (1988) define them, from all pairs, by hand."""
    runs = [several(120, seed, strength) for seed, strength in ((3, 0.8), (4, 1.5))]
    scores = [example_scores("roc_auc[c1]", step, rows) for step, rows in enumerate(runs)]
    pair = paired_test("roc_auc[c1]", scores[1], scores[0])
    components = []
    for rows in runs:
        inside = np.array([row.values["c1"] for row in rows if row.reference == "c1"])
        outside = np.array([row.values["c1"] for row in rows if row.reference != "c1"])
        won = inside[:, None] > outside[None, :]
        components.append((won.mean(1), won.mean(0)))
    (first_in, first_out), (second_in, second_out) = components
    variance = np.var(second_in - first_in, ddof=1) / len(first_in)
    variance += np.var(second_out - first_out, ddof=1) / len(first_out)
    assert pair.gain == pytest.approx((second_in - first_in).mean())
    assert pair.error == pytest.approx(math.sqrt(variance), rel=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_shares_of_examples_are_what_leaving_them_out_changes(name) -> None:
    rows = several(200, 5)
    shares = example_scores(name, 1, rows).totals
    without = np.array([metric_value(name, rows[:place] + rows[place + 1 :]) for place in range(len(rows))])
    jackknife = 200 * metric_value(name, rows) - 199 * without
    assert np.corrcoef(shares, jackknife)[0, 1] > 0.99
    assert shares.mean() == pytest.approx(metric_value(name, rows))


def test_rows_that_belong_together_widen_the_interval() -> None:
    rows = [row for row in several(60, 6) for _ in range(5)]
    alone = metric_interval("roc_auc", rows)
    together = metric_interval("roc_auc", rows, clusters=np.repeat(np.arange(60), 5))
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])
    assert metric_interval("roc_auc", rows, clusters=[0] * 300) is None


def test_a_perfect_order_of_few_is_not_sure() -> None:
    rows = binary([0.9] * 4 + [0.1] * 96, [True] * 4 + [False] * 96)
    assert metric_value("roc_auc", rows) == 1.0
    assert metric_interval("roc_auc", rows) == pytest.approx((0.51, 1.0), abs=0.01)

"""The claims of docs/evaluation.md about stop rules, replayed on the recorded curves."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from statistics import fmean

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_rules", ROOT / "benchmarks" / "bench_rules.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_rules"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def curves(bench):
    return [curve for path in sorted(bench.CURVES.glob("*.json")) for curve in bench.read_curves(path)]


def test_there_are_enough_curves_and_they_are_small(bench, curves) -> None:
    assert len(curves) >= 30
    assert len({curve.task for curve in curves}) >= 3
    assert sum(path.stat().st_size for path in bench.CURVES.iterdir()) < 2_000_000


def test_the_rules_keep_the_score_for_part_of_the_budget(bench, curves) -> None:
    unseen = [curve for curve in curves if curve.seed % 2]
    found = bench.row("sure", bench.SURE, unseen)
    assert fmean(one.score for one in found) >= 0.99
    assert fmean(one.share for one in found) <= 0.6


@pytest.mark.parametrize(
    ("rules", "cadence", "equal"), [("SURE", "once an epoch", 0.0), ("THRIFTY", "every look", 0.02)]
)
def test_they_beat_patience(bench, curves, rules, cadence, equal) -> None:
    """More kept for less, or for what is equal within the noise of 24 runs."""
    unseen = [curve for curve in curves if curve.seed % 2]
    ours = bench.row(rules, getattr(bench, rules), unseen)
    patience = bench.row("patience 3", bench.PATIENCE.format(3), unseen, cadence)
    assert fmean(one.share for one in ours) <= fmean(one.share for one in patience) + equal
    assert fmean(one.score for one in ours) > fmean(one.score for one in patience)

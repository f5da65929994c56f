from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tunesmith.judge.replay import Curve, read_curves, read_log, replay
from tunesmith.judge.schedule.eval_schedule import next_eval_step
from tunesmith.judge.statistics.example_scores import pack_numbers
from tunesmith.recipe.schema.stop import StopRule


def rules(*each: dict) -> tuple[StopRule, ...]:
    return tuple(StopRule.model_validate(rule) for rule in (*each, {"budget": {"steps": 100_000}}))


def recorded(folder: Path, values: list[float], metric: str = "accuracy") -> Curve:
    """A curve file as the recorder writes it, with 100 examples that are right with these chances."""
    draw = np.random.default_rng(0)
    hardness = draw.random(100)
    looks = [
        {
            "step": 10 * index,
            "scores": pack_numbers([float(value > one) for one in hardness]),
            "loss": 1.0,
            "other": value,
            "train_loss": 0.5,
        }
        for index, value in enumerate(values)
    ]
    steps = 10 * (len(values) - 1)
    plain = {"task": "t", "metric": metric, "steps": steps, "epochs": 2.0, "examples": 100}
    path = folder / "t.json"
    path.write_text(json.dumps({**plain, "runs": [{"seed": 3, "looks": looks}]}))
    (curve,) = read_curves(path)
    return curve


RISE = [0.1, 0.4, 0.6, 0.7, 0.75, 0.75, 0.75, 0.75, 0.8, 0.9, 0.9]


def test_patience_stops_where_a_run_would(tmp_path) -> None:
    curve = recorded(tmp_path, RISE)
    found = replay(curve, rules({"plateau": {"metric": "accuracy", "patience": 3}}))
    assert (found.stopped, found.kept, found.looks) == (7, 4, 8)
    assert found.verdict.rule == "plateau"
    assert found.share == 0.7
    best = curve.measurements[9].metrics["accuracy"]
    assert found.score == curve.measurements[4].metrics["accuracy"] / best
    assert found.other == pytest.approx(0.75 / 0.9)


def test_the_whole_curve_keeps_everything(tmp_path) -> None:
    found = replay(recorded(tmp_path, RISE), rules({"plateau": {"metric": "accuracy", "patience": 99}}))
    assert (found.share, found.score, found.other) == (1.0, 1.0, 1.0)


def test_an_error_counts_the_other_way_round(tmp_path) -> None:
    curve = recorded(tmp_path, [0.9, 0.5, 0.6, 0.6, 0.4], metric="mse")
    found = replay(curve, rules({"plateau": {"metric": "mse", "patience": 2}}))
    assert (found.stopped, found.kept) == (3, 1)
    assert found.score == pytest.approx(
        curve.measurements[4].metrics["mse"] / curve.measurements[1].metrics["mse"]
    )


def test_looks_that_are_not_due_are_not_made(tmp_path) -> None:
    curve = recorded(tmp_path, RISE)
    found = replay(curve, rules(), looks=lambda history, steps: history[-1].step + 30)
    assert found.looks == 5  # 0, 30, 60, 90, and the end
    assert replay(curve, rules(), looks=next_eval_step).looks <= len(RISE)


def test_rules_that_compare_see_the_examples(tmp_path) -> None:
    values = [0.2, 0.6, 0.9, 0.5, 0.5, 0.5]
    found = replay(recorded(tmp_path, values), rules({"overfitting": {"metric": "accuracy", "looks": 1}}))
    assert (found.stopped, found.kept) == (3, 2)
    assert found.verdict.rule == "overfitting"


def test_a_replay_is_the_same_every_time(tmp_path) -> None:
    curve, each = recorded(tmp_path, RISE), rules({"plateau": {"metric": "accuracy", "patience": "6 bits"}})
    assert replay(curve, each) == replay(curve, each)


def test_the_log_of_a_run_can_be_replayed(tmp_path) -> None:
    records = [{"kind": "train", "step": 40, "loss": 1.0}]
    for index, value in enumerate([0.2, 0.5, 0.5, None, 0.5]):
        records.append(
            {
                "kind": "eval",
                "step": 10 * index,
                "epoch": 0.1 * index,
                "tokens": 10 * index,
                "metrics": {"loss": 1.0, "accuracy": value},
                "intervals": {} if value is None else {"accuracy": [value - 0.1, value + 0.1]},
                "examples": 100,
                "seconds": 1.0,
                "at": 3.0 * index,
                "verdict": {},
            }
        )
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    each = rules({"plateau": {"metric": "accuracy", "patience": 2}})
    curve = read_log(path, each)
    assert (curve.metric, curve.steps, len(curve.measurements)) == ("accuracy", 40, 5)
    found = replay(curve, each)
    assert (found.stopped, found.kept, found.other) == (4, 1, None)

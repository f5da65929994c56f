"""Real runs with metrics that look at answers by other means than their reference."""

import json
import re

import pytest

from tunesmith.report.score_files import read_scores
from tunesmith.tasks.language.positions import add_by_position, by_position, label_of
from tunesmith.tasks.task import Scored


def test_ranges_of_positions() -> None:
    assert [label_of(power) for power in range(5)] == ["1", "2", "3-4", "5-8", "9-16"]
    given: list[dict[str, float]] = [{}, {}]
    add_by_position(given, [0] * 5 + [1] * 2, [1.0, 2, 3, 4, 5, 6, 7])
    assert given[0] == {f"{k}@{n}": v for n, pair in enumerate([(1, 1), (2, 1), (7, 2), (5, 1)])
                        for k, v in zip(("loss", "count"), pair, strict=True)}  # fmt: skip
    assert given[1] == {"loss@0": 6, "count@0": 1, "loss@1": 7, "count@1": 1}


def test_a_range_that_few_reach_is_left_out() -> None:
    deep = {"loss@0": 0.0, "count@0": 1.0, "loss@1": 1.0, "count@1": 1.0}
    scored = [Scored(f"{n}", 0.0, 1, 1, None, None, "", deep if n < 19 else dict(list(deep.items())[:2]))
              for n in range(30)]  # fmt: skip
    values, intervals = by_position(scored)
    assert values == {"perplexity[position=1]": 1.0}
    assert set(intervals) == set(values)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_language_model(launcher, tmp_path, read, processes) -> None:
    run_dir = tmp_path / "run"
    settings = [
        "eval.metrics=[regex, json_valid, json_schema, code]",
        "eval.regex='[a-z]+'",
        "eval.json_schema={type: string}",
        "eval.code.time=3s",
        "eval.positions=true",
        "stop=[{target: {regex: 0.9}}, {budget: {steps: 40}}]",
    ]
    launcher.run("causal-lm", *settings, f"run.dir={run_dir}", processes=processes)
    records = read.journal(run_dir, "eval")
    first, last = records[0]["metrics"], records[-1]["metrics"]
    assert first["regex"] < 0.5
    assert last["regex"] > 0.8
    assert records[-1]["intervals"]["regex"][0] < last["regex"]
    assert last["json_valid"] == last["json_schema"] == 0  # `moo` is no JSON
    assert last["code"] == 0  # nor a program that ends well
    assert last["perplexity[position=1]"] < first["perplexity[position=1]"]
    assert "perplexity[position=2]" in last
    scored = read_scores(run_dir / "scores.jsonl")
    assert sum(one.given["regex"] for one in scored) == pytest.approx(last["regex"] * len(scored), abs=1e-6)
    total = sum(one.given["count@0"] for one in scored)
    assert total == len(scored)
    report = (run_dir / "report.html").read_text()
    assert "perplexity by position" in " ".join(re.sub(r"<[^>]*>", " ", report).split())


def test_a_classifier(launcher, tmp_path, read) -> None:
    run_dir = tmp_path / "run"
    settings = [
        "eval.metrics=[ece, brier, accuracy]",
        "stop=[{target: {brier: 0.05}}, {budget: {steps: 40}}]",
    ]
    launcher.run("sequence-classification", *settings, f"run.dir={run_dir}")
    records = read.journal(run_dir, "eval")
    assert records[-1]["metrics"]["brier"] < 0.05 < records[0]["metrics"]["brier"]
    assert 0 <= records[-1]["metrics"]["ece"] < 0.3
    assert len(records[-1]["intervals"]["ece"]) == 2
    result = json.loads((run_dir / "result.json").read_text())
    assert result["stop"]["rule"] == "target"


@pytest.mark.slow
def test_code_is_tested_by_a_column_of_the_rows(launcher, tmp_path, read) -> None:
    """The answers are two programs that the model soon knows; only one of them passes the rows' tests."""
    rows = [
        {"q": f"number {n}", "a": "x=1" if n % 2 else "x=2", "check": "assert x == 1"} for n in range(200)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = launcher.recipe("causal-lm").read_text()
    start, end = recipe.index("  train:\n    source"), recipe.index("  eval: {holdout")
    mine = f"{recipe[:start]}  train: {{source: ./rows.jsonl, prompt: q, completion: a}}\n{recipe[end:]}"
    (tmp_path / "mine.yaml").write_text(mine)
    settings = ["eval.metrics=[code, exact_match]", "eval.code.tests=check", "data.eval.holdout=16"]
    settings += ["data.clean.duplicates=keep", "stop=[{budget: {steps: 40}}]"]
    launcher.run(tmp_path / "mine.yaml", *settings, f"run.dir={tmp_path / 'run'}")
    scored = read_scores(tmp_path / "run" / "scores.jsonl")
    assert {one.prediction for one in scored} <= {"x=1", "x=2"}
    assert all(one.given["code"] == (one.prediction == "x=1") for one in scored)
    launcher.run(
        tmp_path / "mine.yaml", *settings, "eval.code.tests=chek", f"run.dir={tmp_path / 'no'}", status=2
    )

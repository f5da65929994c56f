"""What the page says of the model that was written, and beside the numbers."""

import json

from tunesmith.report.page import render_page
from tunesmith.report.run_files import read_run
from tunesmith.report.summary import best


def rewrite(run_dir, name: str, **changes) -> None:
    found = json.loads((run_dir / name).read_text())
    (run_dir / name).write_text(json.dumps(found | changes))


DELIVERED = {"weights": "step 80", "average": None, "step": 80, "examples": 400, "intervals": {}}


def test_scores_are_those_of_the_weights_that_were_written(run_dir) -> None:
    """Not those of the evaluation of their step, which may have seen a part of the rows."""
    rewrite(run_dir, "result.json", delivered={**DELIVERED, "metrics": {"exact_match": 0.123}})
    kept = best(read_run(run_dir))
    assert kept is not None
    assert (kept["step"], kept["metrics"]) == (80, {"exact_match": 0.123})
    assert "0.123" in render_page(run_dir)
    average = {**DELIVERED, "average": "ema", "metrics": {"exact_match": 0.5}}
    rewrite(run_dir, "result.json", delivered=average)
    kept = best(read_run(run_dir))
    assert kept is not None
    assert kept["step"] is None, "an average is of no step"


def test_of_a_run_that_goes_on_the_best_is_what_it_keeps(run_dir) -> None:
    (run_dir / "result.json").unlink()
    path = run_dir / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    evals = [line for line in lines if line["kind"] == "eval"]
    evals[-1]["kept"] = evals[1]["step"]
    evals[-1]["notes"] = ["these weights cannot be kept, barred by the guard on <b>talk</b>/loss"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    kept = best(read_run(run_dir))
    assert kept is not None
    assert kept["step"] == evals[1]["step"]
    assert "barred by the guard on &lt;b&gt;talk" in render_page(run_dir)


def test_by_what_they_were_chosen_and_what_needs_no_model(run_dir) -> None:
    choice = {"metric": "worst/accuracy", "rule": "target", "where": "stop.0.target", "rows": 50}
    rewrite(run_dir, "result.json", chosen_by={**choice, "warning": "the weights rest on 50 rows"})
    rewrite(
        run_dir,
        "data.json",
        classes={"train": {"ham": 900, "<i>spam": 100}, "eval": {"ham": 9}},
        without_model=[{"name": "always ham", "metrics": {"accuracy": 0.868}}],
    )
    page = render_page(run_dir)
    assert "the best worst/accuracy, which the target names (stop.0.target), over 50 rows. The" in page
    assert "<b>always ham: accuracy 0.868</b>" in page
    assert '&lt;i&gt;spam</th><td class="n">100</td><td class="n">0</td>' in page


def test_a_test_split_that_was_told_before(run_dir) -> None:
    test = {"examples": 60, "metrics": {"loss": 1.0}, "baseline": {}, "intervals": {}, "gains": {}}
    rewrite(run_dir, "result.json", test=test)
    assert "60 rows that no decision saw" in render_page(run_dir)
    rewrite(run_dir, "result.json", test={**test, "told_before": [40, 80]})
    page = render_page(run_dir)
    assert "no decision saw" not in page
    assert "the run had ended at steps 40, 80" in page


def test_a_target_that_asked_for_nothing(run_dir) -> None:
    rewrite(run_dir, "result.json", status="stopped", stop={"rule": "target", "reason": "x", "step": 0})
    assert "The target asks for nothing at step 0" in render_page(run_dir)

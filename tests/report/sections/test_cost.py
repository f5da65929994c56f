"""What was spent, and what was saved against running to the end of the budget."""

import json

import pytest

from tunesmith.report.page import render_page
from tunesmith.report.run_files import all_rules, read_run
from tunesmith.report.sections.cost import bill, budget_limits, pace
from tunesmith.report.summary import targets


def with_budget(run_dir, budget: str):
    path = run_dir / "recipe.yaml"
    path.write_text(path.read_text().replace("budget: {epochs: 3, time: 600}", f"budget: {budget}"))
    return read_run(run_dir)


@pytest.mark.parametrize(
    ("budget", "limit", "steps"),
    [
        ("{steps: 300}", "300 steps", "300"),
        ("{tokens: 98400}", "98,400 tokens", "240"),
        ("{time: 600}", "10 min", "689"),
        ("{epochs: 2}", "2 epochs", "1,146"),  # 4,581 rows by 8, twice
        ("{epochs: 2, steps: 200, time: 1h}", "200 steps", "200"),
        ("{steps: 100}", "100 steps", "120"),
        ("{money: 2, price: 10, steps: 9000}", "2.00 in money", "828"),  # 12 minutes of one device
        ("{energy: 36000, power: 100}", "3.6e+04 J", "411"),  # 6 minutes at 100 watts
        ("{energy: 36000, steps: 300}", "300 steps", "300"),  # nobody says how many watts
        ("{}", "3 epochs", "1,718"),  # as for a recipe without a budget
    ],
)
def test_the_limit_that_comes_first_ends_the_bill(run_dir, budget: str, limit: str, steps: str) -> None:
    found = bill(with_budget(run_dir, budget.replace("1h", "3600")))
    assert (found.limit, found.rows[0].to_the_end) == (limit, steps)


def test_what_was_saved(run_dir) -> None:
    found = bill(with_budget(run_dir, "{steps: 480}"))
    steps, tokens, time = found.rows
    assert (steps.spent, steps.saved, steps.share) == ("120", "360 (75 %)", 25)
    assert (tokens.spent, tokens.to_the_end) == ("49,200", "196,800")
    # 0.9 s a step; the evaluation after the last step is in the clock only where the line says when it was
    assert (time.spent, time.to_the_end) == ("1 min 48 s", "6 min 59 s")
    assert found.headline == "Stopping early saved 75 % of the steps and about 5 min 11 s."
    assert found.evaluating == "29 s of the time (27.2 %) went into measuring."


def test_nothing_saved(run_dir) -> None:
    found = bill(with_budget(run_dir, "{steps: 120}"))
    assert found.headline == "The whole budget was spent; nothing was saved."
    assert found.rows[0].saved == "–"


def test_a_run_that_goes_on_says_what_is_left(run_dir) -> None:
    (run_dir / "result.json").unlink()
    assert bill(with_budget(run_dir, "{steps: 480}")).headline.startswith(
        "At most 75 % of the steps are left"
    )


def test_no_bill_without_a_step(run_dir) -> None:
    (run_dir / "metrics.jsonl").write_text("")
    assert pace(read_run(run_dir)) is None
    assert bill(read_run(run_dir)) is None


@pytest.mark.parametrize("budget", ["{steps: .nan}", "{steps: many}", "{tokens: 0}", "{time: -3}"])
def test_a_budget_that_makes_no_sense_is_none(run_dir, budget: str) -> None:
    run = with_budget(run_dir, budget)
    assert budget_limits(run, pace(run)) == []
    assert 'id="spent"' not in render_page(run_dir)


def test_the_runs_own_count_of_epochs_comes_first(run_dir) -> None:
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    lines[-2 if lines[-1]["kind"] == "eval" else -1]["epoch"] = 0.5
    (run_dir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert bill(with_budget(run_dir, "{epochs: 2}")).rows[0].to_the_end == "480"


def test_rules_inside_of_others(run_dir) -> None:
    path = run_dir / "recipe.yaml"
    inner = "{any: [{budget: {steps: 400}}]}, {all: [{budget: {steps: 150}}, {target: {loss: 1}}]}"
    nested = f"any: [{{target: {{exact_match: 0.9}}}}, {inner}]"
    path.write_text(
        path.read_text()
        .replace("- budget: {epochs: 3, time: 600}", f"- {nested}")
        .replace("- target: {exact_match: 0.85}\n", "")
    )
    run = read_run(run_dir)
    assert [(limit.name, limit.step) for limit in budget_limits(run, pace(run))] == [("steps", 400)]
    assert targets(run.recipe) == {"exact_match": 0.9, "loss": 1.0}


def test_rules_in_a_circle_end() -> None:
    circle: list = []
    circle.append({"any": circle, "all": circle})
    assert all_rules({"stop": circle}) == []

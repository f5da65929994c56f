"""The first line of the page, for every way a run can end."""

import json
from pathlib import Path

import pytest

from tunesmith.report.run_files import read_run
from tunesmith.report.summary import best, chief_metric, summarise_run


def rewrite(run_dir: Path, name: str, **changes) -> None:
    found = json.loads((run_dir / name).read_text())
    (run_dir / name).write_text(json.dumps(found | changes))


TARGETLESS = """\
task: causal-lm
eval: {metrics: [exact_match]}
stop: [{plateau: {metric: exact_match}}]
"""


@pytest.mark.parametrize(
    ("status", "stop", "tone", "headline"),
    [
        (
            "stopped",
            {"rule": "target", "reason": "exact_match 0.87 reached 0.85 at step 120", "step": 120},
            "good",
            "Good enough at step 120: exact_match 0.87 reached 0.85",
        ),
        (
            "stopped",
            {"rule": "plateau", "reason": "no gain in 4 evaluations.", "step": 80},
            "warn",
            "Not good enough yet. Stopped improving at step 80: no gain in 4 evaluations",
        ),
        (
            "completed",
            {"rule": "budget", "reason": "the budget of 3 epochs is spent at step 99", "step": 99},
            "warn",
            "Not good enough yet. Budget spent at step 99: the budget of 3 epochs is spent",
        ),
        (
            "stopped",
            {"rule": "non-finite", "reason": "evaluation loss is nan at step 3", "step": 3},
            "bad",
            "Broke down at step 3: evaluation loss is nan",
        ),
        ("stopped", {"rule": "divergence", "reason": "worse", "step": 3}, "bad", "Diverged at step 3: worse"),
        ("failed", {"rule": None, "reason": "no memory", "step": 7}, "bad", "Failed at step 7: no memory"),
        ("failed", None, "bad", "Failed"),
        ("preempted", {"step": 40}, "warn", "Interrupted, can be continued at step 40"),
        ("something new", {}, "plain", "Ended"),
    ],
)
def test_headlines(run_dir, status: str, stop, tone: str, headline: str) -> None:
    rewrite(run_dir, "result.json", status=status, stop=stop)
    story = summarise_run(read_run(run_dir))
    assert (story.tone, story.headline) == (tone, headline)


def test_without_a_target_a_plateau_is_no_failure(run_dir) -> None:
    (run_dir / "recipe.yaml").write_text(TARGETLESS)
    rewrite(run_dir, "result.json", stop={"rule": "plateau", "reason": "no gain", "step": 80})
    story = summarise_run(read_run(run_dir))
    assert (story.tone, story.headline) == ("plain", "Stopped improving at step 80: no gain")


def test_the_detail_says_what_was_kept(run_dir) -> None:
    detail = summarise_run(read_run(run_dir)).detail
    assert detail.startswith(
        "The model kept is the one of step 120: exact_match 0.871 (95 % interval 0.836 to"
    )
    assert detail.endswith("before tuning it was 0.046.")


def test_the_runs_own_explanation_comes_first(run_dir) -> None:
    explanation = "The model is good enough: f1 0.9 reached 0.85. It rose from 0.1. The weights are the last."
    rewrite(run_dir, "result.json", explanation=explanation)
    assert summarise_run(read_run(run_dir)).detail == "It rose from 0.1. The weights are the last."


def test_an_error_is_told(run_dir) -> None:
    (run_dir / "result.json").write_text('{"status": "failed", "error": "RuntimeError: no memory"}')
    assert summarise_run(read_run(run_dir)).headline == "Failed: RuntimeError: no memory"


def test_an_error_by_the_user_is_told_in_its_own_words(run_dir) -> None:
    for kind in ("", "UserError: "):
        error = f"{kind}recipe.yaml:3: no such column `labl`\nhint: name one of text, label"
        (run_dir / "result.json").write_text(json.dumps({"status": "failed", "error": error}))
        story = summarise_run(read_run(run_dir))
        assert story.headline == "Failed: recipe.yaml:3: no such column `labl`"
        assert story.detail.startswith("To mend it: name one of text, label. No finished model came of it.")


def test_a_run_that_goes_on(run_dir) -> None:
    (run_dir / "result.json").unlink()
    story = summarise_run(read_run(run_dir))
    assert (story.tone, story.headline) == ("going", "No verdict yet: at step 120, exact_match 0.871")
    (run_dir / "metrics.jsonl").unlink()
    assert summarise_run(read_run(run_dir)).headline == "No step yet"


def test_variants_name_the_best(variants_dir) -> None:
    story = summarise_run(read_run(variants_dir))
    assert story.headline == "Best of 3 variants: whole, accuracy 0.998"
    rewrite(variants_dir, "variants.json", metric="loss")
    assert summarise_run(read_run(variants_dir)).headline == "Best of 3 variants: whole, loss 0.002"
    rewrite(variants_dir, "variants.json", variants=[{"name": "head", "dir": "head"}])
    assert summarise_run(read_run(variants_dir)).headline == "1 variants, none measured yet"


def test_without_a_result_the_best_so_far_is_by_the_rules_metric(run_dir) -> None:
    (run_dir / "result.json").unlink()
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    evals = [line for line in lines if line["kind"] == "eval"]
    for value, record in zip([0.1, 0.5, float("nan"), 0.9, 0.7, 0.2, 0.3], evals, strict=True):
        record["metrics"] = {"exact_match": value, "loss": value}
    (run_dir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in evals))
    run = read_run(run_dir)
    assert chief_metric(run) == "exact_match"
    assert best(run)["step"] == 60
    (run_dir / "recipe.yaml").write_text("eval: {metrics: [exact_match]}\nstop: [{budget: {steps: 9}}]\n")
    run = read_run(run_dir)
    assert chief_metric(run) == "exact_match"
    assert best(run)["step"] == 0, "no rule names a metric, so the loss decides"


@pytest.mark.parametrize(
    "recipe",
    [
        "",
        "stop:\n",
        "stop: 3\n",
        "stop: [3, null]\n",
        "stop: [{target: 3}]\n",
        "stop: [{target: {a: b}}]\n",
        "eval: 3\n",
    ],
)
def test_odd_recipes_do_no_harm(run_dir, recipe: str) -> None:
    (run_dir / "recipe.yaml").write_text(recipe)
    assert summarise_run(read_run(run_dir)).headline

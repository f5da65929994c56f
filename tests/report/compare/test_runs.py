"""Runs compared: by the examples they share, with a clear word where there are none."""

import json
import math
from html.parser import HTMLParser

import pytest

from tunesmith.cli.main import command_line
from tunesmith.errors import UserError
from tunesmith.report.compare.page import headline, render_comparison
from tunesmith.report.compare.runs import compare_runs
from tunesmith.report.compare.text import as_text
from tunesmith.report.score_files import write_scores
from tunesmith.tasks.task import Scored


def score(path, right: list[bool], *, prefix: str = "q", reference: str = "HUM") -> None:
    rows = [
        Scored(
            f"{prefix}:{n}", 0.1 if hit else 1.5, 1, int(hit), reference if hit else "LOC", reference, "Who ?"
        )
        for n, hit in enumerate(right)
    ]
    write_scores(path / "scores.jsonl", rows)


@pytest.fixture
def two(make_run):
    runs = [make_run("first"), make_run("second")]
    score(runs[0], [True] * 60 + [False] * 40)
    score(runs[1], [True] * 80 + [False] * 20)
    return runs


def test_a_better_run_is_seen(two) -> None:
    found = compare_runs(two)
    assert found.examples == 100
    assert found.metrics == ("exact_match", "loss", "perplexity")
    [contrast] = found.contrasts["exact_match"]
    assert contrast.verdict == "better"
    assert contrast.paired.difference == pytest.approx(0.2)
    assert contrast.adjusted == pytest.approx(2 / 2**20)
    assert (contrast.paired.better, contrast.paired.worse) == (20, 0)
    assert found.contrasts["loss"][0].verdict == "better", "less is better there"


def test_the_order_of_lines_does_not_matter(two) -> None:
    before = compare_runs(two)
    path = two[1] / "scores.jsonl"
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    assert compare_runs(two) == before


def test_several_runs_pay_for_being_several(two, make_run) -> None:
    third = make_run("third")
    score(third, [True] * 66 + [False] * 34)
    alone = compare_runs([two[0], third]).contrasts["exact_match"][0]
    among = compare_runs([*two, third]).contrasts["exact_match"][1]
    assert alone.verdict == "better"
    assert alone.adjusted == pytest.approx(0.03125)
    assert among.adjusted == pytest.approx(0.03125), "the smaller one is multiplied, by Holm"
    assert compare_runs([two[0], third, third.parent / "third"][:2], "loss").metrics == ("loss",)


def test_common_examples_alone_and_it_is_said(two) -> None:
    score(two[1], [True] * 80)
    found = compare_runs(two)
    assert found.examples == 80
    assert (
        "the evaluation sets differ (first 100, second 80): compared on the 80 common examples" in found.notes
    )


def test_examples_whose_answer_changed_are_left_out(two) -> None:
    lines = (two[1] / "scores.jsonl").read_text().splitlines()
    lines[:10] = [line.replace('"reference": "HUM"', '"reference": "DESC"') for line in lines[:10]]
    (two[1] / "scores.jsonl").write_text("\n".join(lines) + "\n")
    found = compare_runs(two)
    assert found.examples == 90
    assert any("10 examples have other references" in note for note in found.notes)


@pytest.mark.parametrize(
    ("prefix", "reference", "what"), [("x", "HUM", "no example in common"), ("q", "NUM", "other answers")]
)
def test_nothing_in_common(two, prefix: str, reference: str, what: str) -> None:
    score(two[1], [True] * 9, prefix=prefix, reference=reference)
    with pytest.raises(UserError, match=what):
        compare_runs(two)


def test_without_scores_the_values_stand_side_by_side(two) -> None:
    (two[1] / "scores.jsonl").unlink()
    found = compare_runs(two)
    assert found.contrasts == {}
    assert found.notes == (
        "second: no scores.jsonl with the score of each example, so there is no paired test and the values "
        "stand side by side only",
    )
    assert "0.871" in as_text(found)


def test_what_cannot_be_compared(two, make_run, tmp_path) -> None:
    other = make_run("other", metric="accuracy")
    for runs, metric, what in (
        ([two[0]], None, "two runs or more"),
        ([two[0], two[0]], None, "named twice"),
        ([two[0], tmp_path / "none"], None, "no such folder"),
        (two, "bleu", "`bleu` was not measured in every run"),
        ([two[0], other], "exact_match", "not measured in every run"),
    ):
        with pytest.raises(UserError, match=what):
            compare_runs(runs, metric)


def test_the_table(two) -> None:
    lines = as_text(compare_runs(two, "exact_match")).splitlines()
    assert lines[0] == "exact_match, on the same 100 examples"
    assert lines[1].split() == ["run", "value", "difference", "p", "effect"]
    assert lines[3].startswith("  second  0.800  +0.200 (")
    assert lines[3].endswith("< 0.001  g +0.500: 20 better, 0 worse  better")
    assert "what the recipes do differently\n  The recipes say the same." in as_text(
        compare_runs(two, "exact_match")
    )


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.found.append(tag)
        assert not any(name.startswith("on") or name == "src" for name, _ in attrs)


def test_the_page(two, make_run) -> None:
    evil = make_run("<img src=x onerror=alert(1)>")
    score(evil, [True] * 50 + [False] * 50)
    page = render_comparison(compare_runs([*two, evil]))
    tags = Tags()
    tags.feed(page)
    assert not {"img", "script", "iframe"} & set(tags.found)
    assert "&lt;img src=x" in page
    assert "Better than first by exact_match: second" in page
    assert page.count("<svg") == 3
    assert render_comparison(compare_runs([*two, evil])) == page


def test_the_command(two, tmp_path, capsys) -> None:
    html = tmp_path / "page.html"
    with pytest.raises(SystemExit) as ended:
        command_line(["compare", *map(str, two), "--metric", "exact_match", "--html", str(html)])
    assert not ended.value.code
    assert "second  0.800" in capsys.readouterr().out
    assert "second is better than first by exact_match (p &lt; 0.001)" in html.read_text()
    assert command_line(["compare", str(two[0]), str(two[1]), "--metric", "nothing"]) == 2
    assert "hint: all of them measured loss, perplexity, exact_match" in capsys.readouterr().err


def test_a_run_that_goes_on_can_be_compared(two) -> None:
    (two[0] / "result.json").unlink()
    found = compare_runs(two)
    assert [entry.status for entry in found.entries] == ["running", "stopped"]
    assert json.dumps(found.entries[0].step) == "120"


def losses(path, values: list[float]) -> None:
    rows = [Scored(f"q:{n}", value, 1, 0, "LOC", "HUM", "Who ?") for n, value in enumerate(values)]
    write_scores(path / "scores.jsonl", rows)


@pytest.mark.parametrize(
    ("second", "verdict", "why"),
    [
        ([1.0] * 40, "no difference seen", "the same on every example"),
        (
            [1.01] * 38 + [0.62] * 2,
            "no difference seen",
            "38 examples are worse, but the 2 others changed by more",
        ),
        ([1.1, 0.9] * 20, "no difference seen", "chance alone gives as large a one in 99 % of cases"),
        ([0.5] * 40, "better", ""),
        (
            [1.01] * 36 + [-20.0] * 4,
            "no difference seen",
            "36 examples are worse, but the 4 others changed by more",
        ),
        ([math.inf] + [1.0] * 39, "not tested", "the score of some example is not a finite number"),
    ],
)
def test_a_verdict_says_why(two, second: list[float], verdict: str, why: str) -> None:
    losses(two[0], [1.0] * 40)
    losses(two[1], second)
    found = compare_runs(two, "loss")
    [contrast] = found.contrasts["loss"]
    assert (contrast.verdict, contrast.why) == (verdict, why)
    if why:
        assert f"{verdict}: {why}" in as_text(found)
        assert f"{verdict}: {why}" in render_comparison(found)
    assert "1.000" not in headline(found)


def test_the_recipes_are_compared_in_text_and_page(two) -> None:
    path = two[1] / "recipe.yaml"
    path.write_text(path.read_text().replace("rank: 8", "rank: 16").replace("runs/gpt_sft", "runs/other"))
    found = compare_runs(two, "exact_match")
    text = " ".join(as_text(found).split())
    assert "what the recipes do differently key first second tune.lora.rank 8 16" in text
    assert "run.dir" not in text
    page = render_comparison(found)
    assert "<code>tune.lora.rank</code></th><td>8</td><td>16</td>" in page

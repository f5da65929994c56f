"""Scores of parts of the evaluation set have a section of their own, and stand nowhere else."""

import json

from tunesmith.report.page import render_page
from tunesmith.report.run_files import read_run
from tunesmith.report.sections.results import metric_names
from tunesmith.report.sections.slices import is_slice, slices


def add_slices(run_dir, values: dict[str, float], start: float = 0.1) -> None:
    result = json.loads((run_dir / "result.json").read_text())
    records = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    measured = [record for record in records if record["kind"] == "eval"]
    for part in (measured[0], measured[-1], result["baseline"], result["best"]):
        first = part["step"] == 0
        part["metrics"].update({name: start if first else value for name, value in values.items()})
        part.setdefault("intervals", {}).update(
            {n: [max(0, v - 0.1), min(1, v + 0.1)] for n, v in values.items()}
        )
    (run_dir / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (run_dir / "result.json").write_text(json.dumps(result))


def test_names() -> None:
    assert is_slice("accuracy[kind=HUM]")
    assert is_slice("exact_match[a b=x]y [=]")
    assert not any(map(is_slice, ("accuracy", "accuracy[worst]", "[kind=HUM]", "accuracy[=x]", "a[b=c]d")))


def test_the_worst_comes_first(run_dir) -> None:
    add_slices(
        run_dir,
        {
            "exact_match[kind=HUM]": 0.9,
            "exact_match[kind=LOC]": 0.4,
            "loss[kind=HUM]": 0.2,
            "loss[kind=LOC]": 0.9,
        },
    )
    first, second = slices(read_run(run_dir))
    assert (first.metric, first.column, first.whole) == ("exact_match", "kind", "0.871")
    assert [(row.value, row.worst) for row in first.rows] == [("LOC", True), ("HUM", False)]
    assert [row.value for row in second.rows] == ["LOC", "HUM"], "of losses the highest is the worst"
    assert (first.rows[0].change, first.rows[0].better) == ("+0.300", True)
    assert second.rows[1].better is False
    assert (first.rows[0].low, first.rows[0].at, first.rows[0].high) == (30, 40, 50)


def test_they_stand_in_their_section_alone(run_dir) -> None:
    assert 'id="slices"' not in render_page(run_dir)
    before = metric_names(read_run(run_dir), read_run(run_dir).evals)
    add_slices(run_dir, {"exact_match[kind=<u>HUM</u>]": 0.9})
    run = read_run(run_dir)
    assert metric_names(run, run.evals) == before
    page = render_page(run_dir)
    assert 'id="slices"' in page
    assert "&lt;u&gt;HUM" in page
    assert "<u>HUM" not in page


def test_a_hundred_parts_are_cut_to_the_worst(run_dir) -> None:
    add_slices(run_dir, {f"exact_match[id={n}]": n / 100 for n in range(100)})
    [table] = slices(read_run(run_dir))
    assert len(table.rows) == 60
    assert table.left_out == 40
    assert table.rows[0].value == "0"

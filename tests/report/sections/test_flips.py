"""What flipped: from every example's scores where they are, else from the samples."""

import pytest

from tunesmith.report.page import render_page
from tunesmith.report.run_files import read_run
from tunesmith.report.score_files import BASELINE_SCORES, SCORES, write_scores
from tunesmith.report.sections.flips import MOST_SHOWN, flips
from tunesmith.tasks.task import Scored


def scored(right: list[bool]) -> list[Scored]:
    return [
        Scored(f"row:{n}", 1.0, 1, 0, "HUM" if hit else "LOC", "HUM", f"Who is {n} ?")
        for n, hit in enumerate(right)
    ]


@pytest.fixture
def whole(run_dir):
    write_scores(run_dir / BASELINE_SCORES, scored([n % 10 == 0 for n in range(200)]))
    write_scores(run_dir / SCORES, scored([n % 20 != 0 for n in range(200)]))
    return run_dir


def test_every_example_is_counted(whole) -> None:
    found = flips(read_run(whole))
    assert (found.whole, found.examples) == (True, 200)
    assert dict(found.tally) == {"wrong → right": 180, "right → wrong": 10, "right": 10}
    assert (len(found.gained), len(found.lost)) == (MOST_SHOWN, 10)
    assert found.lost[0].id == "row:0"
    assert found.lost[0].input == "Who is 0 ?"
    page = render_page(whole)
    assert "All 200 examples of the evaluation set are counted." in page
    assert page.index("From right to wrong") < page.index("From wrong to right") < page.index("Other samples")


def test_a_baseline_on_a_part_of_the_rows_is_not_called_all_of_them(whole) -> None:
    write_scores(whole / BASELINE_SCORES, scored([False] * 64))
    found = flips(read_run(whole))
    assert (found.examples, found.rows) == (64, 200)
    page = render_page(whole)
    assert "Counted over the 64 of 200 examples that the baseline was measured on." in page
    assert "examples of the evaluation set are counted" not in page


def test_samples_alone(run_dir) -> None:
    found = flips(read_run(run_dir))
    assert (found.whole, found.examples) == (False, 8)
    assert {sample.fate for sample in found.gained} == {"wrong → right"}
    assert len(found.gained) + len(found.lost) + len(found.others) == 8
    assert "Counted over the 8 samples that the run kept." in render_page(run_dir)


def test_one_of_the_two_files_is_not_enough(whole) -> None:
    (whole / BASELINE_SCORES).unlink()
    assert flips(read_run(whole)).whole is False


def test_nothing_to_flip(run_dir) -> None:
    (run_dir / "samples.json").unlink()
    assert flips(read_run(run_dir)) is None
    assert 'id="samples"' not in render_page(run_dir)

"""The errors that remain: which rows are listed, in which order, for classes, texts and numbers."""

import math

import pytest

from tunesmith.report.errors.remaining import MOST_OF_PAIR, has_classes, remaining
from tunesmith.report.evaluation import evaluation_page
from tunesmith.report.page import render_page
from tunesmith.report.score_files import write_scores
from tunesmith.tasks.task import Scored


def one(name: str, loss: float, said, truth, count: int = 1) -> Scored:
    return Scored(name, loss, count, 0, said, truth, f"input of {name}")


CLASSES = [
    *(one(f"right:{n}", 0.1, "ham", "ham") for n in range(12)),
    *(one(f"common:{n}", 1.0 + n, "ham", "spam") for n in range(7)),
    one("rare", 9.0, "spam", "ham"),
]


def test_class_pairs_come_by_number_and_in_each_the_worst_loss_first() -> None:
    found = remaining(CLASSES)
    assert found.summary == "8 of 20 answers (40 %) are wrong."
    assert [(group.truth, group.said, group.count) for group in found.groups] == [
        ("spam", "ham", 7),
        ("ham", "spam", 1),
    ]
    first = found.groups[0]
    assert [row.id for row in first.rows] == [f"common:{n}" for n in (6, 5, 4, 3, 2)]
    assert len(first.rows) == MOST_OF_PAIR
    assert first.left_out == 2


def test_texts_of_their_own_are_one_list_by_loss_for_each_token() -> None:
    rows = [
        one("long", 10.0, "a b", "the one", count=10),
        one("short", 4.0, "", "another"),
        one("right", 1.0, "c", " c "),
    ]
    found = remaining(rows)
    assert not has_classes(rows)
    [group] = found.groups
    assert [(row.id, row.loss, row.prediction) for row in group.rows] == [
        ("short", "4.000", "(nothing)"),
        ("long", "1.000", "a b"),
    ]


def test_a_loss_that_is_no_number_is_the_worst() -> None:
    [group] = remaining([one("bad", 5.0, "x", "y"), one("broken", math.nan, "x", "z")]).groups
    assert group.rows[0].id == "broken"


def test_rows_without_answers_are_listed_by_their_loss() -> None:
    found = remaining([one("easy", 0.5, None, "a text"), one("hard", 3.0, None, "another")])
    assert [row.id for row in found.groups[0].rows] == ["hard", "easy"]
    assert found.groups[0].rows[0].prediction == "–"


def test_nothing_wrong_says_so_and_nothing_scored_is_no_section() -> None:
    assert remaining([one("a", 0.1, "ham", "ham")]).summary == "None: all 1 answers equal the reference."
    assert remaining([]) is None


def test_numbers_get_a_scatter_residuals_and_the_farthest_first() -> None:
    rows = [
        one(f"n:{n}", 0.0, truth + off, truth)
        for n, (truth, off) in enumerate([(1.0, 0.1), (2.0, -3.0), (5.0, 0.5)])
    ]
    found = remaining(rows)
    assert [row.id for row in found.groups[0].rows] == ["n:1", "n:2", "n:0"]
    assert found.groups[0].rows[0].loss == "3.000"
    assert "the worst by 3.000; on average they are 0.800 too low." in found.summary
    for drawn in (found.residuals.scatter, found.residuals.spread):
        assert drawn.count('class="spot"') == 3
        assert drawn.count('class="target"') == 1


def test_numbers_that_are_not_finite_are_counted_and_not_drawn() -> None:
    found = remaining([one("a", 0.0, math.nan, 1.0), one("b", 0.0, 1.5, 1.0)])
    assert found.groups[0].rows[0].id == "a"
    assert "1 are no finite numbers" in found.summary
    assert found.residuals.scatter.count('class="spot"') == 1
    assert remaining([one("a", 0.0, math.inf, 1.0)]).summary == "None of the 1 answers is a finite number."


def test_whole_numbers_as_labels_are_classes() -> None:
    found = remaining([one(str(n), 1.0, n % 3, n % 2) for n in range(12)])
    assert found.residuals is None
    assert found.groups[0].truth


def evaluation(scored) -> str:
    content = {
        "model": "m",
        "data": "d.jsonl",
        "task": "text-classification",
        "rows": len(scored),
        "metrics": {"loss": 1.0},
        "intervals": {},
        "left_out": {},
        "notes": [],
        "confusion": {"labels": ["ham", "spam"], "counts": [[12, 1], [7, 0]]},
    }
    return evaluation_page(content, scored)


@pytest.mark.parametrize("page_of", ["run", "evaluation"])
def test_both_pages_show_the_same_errors(run_dir, page_of: str) -> None:
    write_scores(run_dir / "scores.jsonl", CLASSES)
    page = render_page(run_dir) if page_of == "run" else evaluation(CLASSES)
    assert '<section id="errors">' in page
    assert "8 of 20 answers (40 %) are wrong." in page
    assert page.index("common:6") < page.index("common:5") < page.index('<section id="confusion">')
    assert '<th scope="col" class="n">F1</th>' in page


def test_both_pages_show_how_far_numbers_are_off(run_dir) -> None:
    rows = [one(f"n:{n}", 0.1, n + 0.5, float(n)) for n in range(9)]
    write_scores(run_dir / "scores.jsonl", rows)
    for page in (render_page(run_dir), evaluation(rows)):
        assert page.count('class="chart scatter"') == 2
        assert "How far off" in page


def test_what_a_row_says_stays_text() -> None:
    page = evaluation([one("<img src=x>", 1.0, "<b>said</b>", "<i>truth</i>")])
    assert "<img" not in page
    assert "<b>said" not in page


def test_an_answer_that_was_not_told_to_its_end_counts_for_the_class_it_begins_with() -> None:
    found = remaining([*CLASSES, one("begun", 3.0, "ham…", "spam"), one("other", 2.0, "hammer…", "spam")])
    pairs = [(group.truth, group.said, group.count) for group in found.groups]
    assert pairs[0] == ("spam", "ham", 8)
    assert ("spam", "hammer…", 1) in pairs


def test_names_of_rows_may_break_before_their_line_and_stay_text() -> None:
    page = evaluation([one("<b>file.txt:12", 1.0, "said", "truth")])
    assert "&lt;b&gt;file.txt<wbr>:12" in page

"""The page as text: whole, self-contained, escaped, and there for every state of a run."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tunesmith.report.page import render_page, write_report

VOID = {"meta", "link", "br", "wbr", "img", "input", "hr"}


class Checker(HTMLParser):
    """Collects tags, and what is not closed in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.wrong: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data) -> None:
        self.text.append(data)


def parse(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    checker.close()
    return checker


@pytest.fixture
def going(run_dir: Path) -> Path:
    for name in ("result.json", "samples.json", "confusion.json", "environment.json"):
        (run_dir / name).unlink()
    text = (run_dir / "metrics.jsonl").read_text()
    (run_dir / "metrics.jsonl").write_text(text[: len(text) // 2])
    return run_dir


def test_the_verdict_is_the_first_heading_and_the_title(run_dir) -> None:
    page = render_page(run_dir)
    headline = "Good enough at step 120: exact_match 0.87 reached 0.85"
    assert f"<title>{headline} – runs/gpt_sft</title>" in page
    assert re.search(r"<h[1-6][^>]*>(.*?)</h", page)[1] == headline


def test_every_section_of_a_finished_run(run_dir) -> None:
    page = render_page(run_dir)
    sections = re.findall(r'<section id="(\w+)"', page)
    wanted = "numbers spent curves verdicts samples confusion data preview resources recipe"
    assert " ".join(sections) == wanted
    assert re.findall(r'<a href="#(\w+)"', page) == sections
    assert page.count("<svg class=") == 5 + 3, "five curves, three drawings of before and after"
    assert "4,581 for training" in page, "the plan"
    assert "schedule: linear" in page, "the recipe"


def test_every_tag_is_closed_in_order(run_dir, variants_dir) -> None:
    for folder in (run_dir, variants_dir):
        checker = parse(render_page(folder))
        assert checker.wrong == []
        assert checker.open == []


def test_nothing_is_loaded(run_dir, variants_dir) -> None:
    for folder in (run_dir, variants_dir):
        page = render_page(folder)
        for tag, attributes in parse(page).tags:
            assert tag not in {"iframe", "object", "embed", "img", "base", "form"}
            assert "src" not in attributes
            assert not any(name.startswith("on") for name in attributes)
            assert (attributes.get("href") or "#").startswith(("#", "./", "data:,"))
        assert "@import" not in page
        assert "url(" not in page
        assert "default-src 'none'" in page


def test_text_of_the_run_is_never_markup(run_dir) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&</style></title>"
    for path in run_dir.glob("*.json"):
        found = json.loads(path.read_text())

        def poison(value):
            if isinstance(value, dict):
                return {key: poison(part) for key, part in value.items()}
            if isinstance(value, list):
                return [poison(part) for part in value]
            return f"{value}{evil}" if isinstance(value, str) else value

        path.write_text(json.dumps(poison(found)))
    (run_dir / "plan.txt").write_text(evil)
    (run_dir / "recipe.yaml").write_text(f"task: '{evil.replace(chr(39), '')}'\nrun: {{dir: '<b>x</b>'}}\n")
    metrics = (
        (run_dir / "metrics.jsonl").read_text().replace("exact_match", "<i>em</i>").replace("target", "<u>")
    )
    (run_dir / "metrics.jsonl").write_text(metrics)
    checker = parse(render_page(run_dir))
    tags = [tag for tag, _ in checker.tags]
    assert tags.count("script") == 1
    assert not {"img", "u"} & set(tags)
    assert not any("onerror" in attributes for _, attributes in checker.tags)
    assert "".join(checker.text).count("alert(1)") > 20, "shown as text"


def test_tables_have_headers_and_pictures_have_titles(run_dir, variants_dir) -> None:
    for page in (render_page(run_dir), render_page(variants_dir)):
        for table in re.findall(r"<table.*?</table>", page, re.DOTALL):
            assert '<th scope="col"' in table or '<th scope="row"' in table
        for picture in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
            assert 'aria-hidden="true"' in picture or ("<title>" in picture and "<desc>" in picture)
        assert '<html lang="en">' in page


def test_a_run_that_goes_on(going) -> None:
    page = render_page(going)
    assert "No verdict yet: at step" in page
    assert 'id="samples"' not in page
    assert 'id="curves"' in page
    assert "best so far" in page
    assert "Not everything could be read" not in page


@pytest.mark.parametrize("kept", [["recipe.yaml"], ["metrics.jsonl"], ["result.json"], ["environment.json"]])
def test_a_run_with_a_single_file(run_dir, kept) -> None:
    for path in run_dir.iterdir():
        if path.name not in kept:
            path.unlink()
    assert parse(render_page(run_dir)).wrong == []


def test_a_failed_run(run_dir) -> None:
    failed = {"status": "failed", "stop": {"rule": "", "reason": "loss is nan", "step": 3}, "baseline": None}
    (run_dir / "result.json").write_text(json.dumps(failed))
    (run_dir / "metrics.jsonl").write_text(
        '{"kind": "train", "step": 3, "loss": NaN, "learning_rate": 0.001}\n'
    )
    page = render_page(run_dir)
    assert "Failed at step 3: loss is nan" in page
    assert 'class="gap"' in page


def test_broken_files_are_named_on_the_page(run_dir) -> None:
    (run_dir / "data.json").write_text("{half")
    page = render_page(run_dir)
    assert "Not everything could be read" in page
    assert "data.json: not valid JSON" in page


def test_the_parent_of_variants(variants_dir) -> None:
    page = render_page(variants_dir)
    assert "Best of 3 variants: whole, accuracy 0.998" in page
    assert '<a href="./last%20stage/report.html">last stage</a>' in page


def test_ten_thousand_steps_make_a_small_page(make_run) -> None:
    page = render_page(make_run(steps=10_000, every=20))
    assert len(page.encode()) < 400_000
    raw = re.search(r'class="raw" d="([^"]*)"', page)[1]
    assert 500 <= len(re.findall("[ML]", raw)) <= 600


def test_even_extreme_files_make_a_page_under_a_megabyte(make_run) -> None:
    run_dir = make_run(steps=2000, every=2)
    labels = [f"label number {n}" for n in range(300)]
    (run_dir / "confusion.json").write_text(json.dumps({"labels": labels, "counts": [[7] * 300] * 300}))
    samples = [
        {"id": n, "input": "x" * 10**5, "reference": "y", "before": "z", "after": "y"} for n in range(200)
    ]
    (run_dir / "samples.json").write_text(json.dumps(samples))
    rows = [{"id": n, "tokens": [["tok", True], ["en", False]] * 5000} for n in range(50)]
    (run_dir / "preview.json").write_text(json.dumps(rows))
    assert len(render_page(run_dir).encode()) < 1_000_000


def test_the_same_files_make_the_same_page(run_dir) -> None:
    assert render_page(run_dir) == render_page(run_dir)


def test_writing(run_dir) -> None:
    path = write_report(run_dir)
    assert path == run_dir / "report.html"
    assert path.read_text(encoding="utf-8") == render_page(run_dir)
    assert [p.name for p in run_dir.iterdir() if ".tmp-" in p.name] == []

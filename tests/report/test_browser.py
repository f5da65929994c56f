"""The page in a real browser: nothing fails, nothing is loaded, and it can be read."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tunesmith.report.page import write_report

sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright")
NAMES = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = next((found for name in NAMES if (found := shutil.which(name))), None)
if PROGRAM is None:
    pytest.skip("no Chromium", allow_module_level=True)

pytestmark = pytest.mark.browser

FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync"

CONTRAST = (Path(__file__).parent / "contrast.js").read_text()

Opener = Callable[..., "object"]


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=PROGRAM, args=FLAGS.split())
        yield chromium
        chromium.close()


@pytest.fixture
def show(browser) -> Iterator[Opener]:
    """Opens a run's page; at the end no page may have complained or asked for anything."""
    complaints: list[str] = []
    contexts = []

    def opener(run_dir: Path, *, width: int = 1200, scheme: str = "light", script: bool = True):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
        )
        contexts.append(context)
        page = context.new_page()
        path = write_report(run_dir).absolute().as_uri()
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("request", lambda r: r.url == path or complaints.append(f"request: {r.url[:80]}"))
        page.goto(path)
        return page

    yield opener
    for context in contexts:
        context.close()
    assert complaints == []


def points(page, chart: str, style: str) -> int:
    drawn = page.locator(f'svg[data-chart="{chart}"] path.{style}').get_attribute("d")
    return sum(drawn.count(letter) for letter in "ML")


def test_the_verdict_is_what_one_sees_first(show, run_dir) -> None:
    page = show(run_dir)
    heading = page.get_by_role("heading", level=1)
    assert heading.inner_text() == "Good enough at step 120: exact_match 0.87 reached 0.85"
    assert heading.bounding_box()["y"] < 200
    assert page.title().startswith("Good enough at step 120")


def test_curves_have_a_point_for_each_value(show, run_dir) -> None:
    page = show(run_dir)
    assert points(page, "exact_match", "line") == 7
    assert points(page, "exact_match", "band") == 14
    assert page.locator('svg[data-chart="exact_match"] circle.dot').count() == 7
    assert points(page, "training loss", "raw") == 120
    assert points(page, "learning rate", "line") == 120
    assert page.locator('svg[data-chart="exact_match"] .chosen').get_attribute("data-step") == "120"
    assert page.locator("svg .target").count() == 1
    box = page.locator('svg[data-chart="training loss"]').bounding_box()
    assert box["width"] > 300
    assert box["height"] > 150


def test_what_the_data_says_does_not_run(show, run_dir) -> None:
    page = show(run_dir)
    assert page.title() != "owned"
    assert page.locator("img").count() == 0
    assert page.get_by_text("<script>document.title='owned'").count() >= 2


def test_a_script_in_the_page_would_not_run_either(show, run_dir, browser) -> None:
    path = write_report(run_dir)
    path.write_text(path.read_text().replace("<main>", "<main><script>document.title='owned'</script>"))
    page = browser.new_page()
    page.goto(path.absolute().as_uri())
    assert page.title() != "owned"
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(show, run_dir, variants_dir, scheme: str) -> None:
    for folder in (run_dir, variants_dir):
        page = show(folder, scheme=scheme)
        found = page.evaluate(CONTRAST)
        assert len(found) > 30
        assert [pair for pair in found if pair[0] < 4.5] == []


def test_dark_is_dark(show, run_dir) -> None:
    shades = [
        show(run_dir, scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    ]
    values = [int(shade.split("(")[1].split(",")[0]) for shade in shades]
    assert values[0] > 200
    assert values[1] < 60


@pytest.mark.parametrize("width", [390, 320, 768])
def test_narrow_screens_scroll_one_way_only(show, run_dir, variants_dir, width: int) -> None:
    for folder in (run_dir, variants_dir):
        page = show(folder, width=width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_pointer_reads_a_value(show, run_dir) -> None:
    page = show(run_dir)
    chart = page.locator('svg[data-chart="exact_match"]')
    chart.hover(position={"x": chart.bounding_box()["width"] * 0.966, "y": 50})
    shown = page.locator("figure", has=chart).locator("output").inner_text()
    assert shown == "step 120: 0.871, stop"


def test_without_script_the_page_is_whole(show, run_dir) -> None:
    page = show(run_dir, script=False)
    assert page.locator("section").count() == 10
    assert page.locator("svg.chart").count() == 5


def test_on_paper_nothing_is_cut_off(show, make_run) -> None:
    page = show(make_run(steps=3000, every=20), scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    heights = page.evaluate(
        "[...document.querySelectorAll('.tall, .long')].map((e) => e.scrollHeight - e.clientHeight)"
    )
    assert max(heights) <= 1
    page.set_viewport_size({"width": 680, "height": 960})  # A4 with margins of 15 mm
    assert page.evaluate("document.documentElement.scrollWidth") <= 680


def test_an_unfinished_run_opens_too(show, run_dir) -> None:
    for name in ("result.json", "samples.json", "environment.json", "data.json"):
        (run_dir / name).unlink()
    page = show(run_dir)
    assert page.get_by_role("heading", level=1).inner_text().startswith("No verdict yet: at step 120")


def many_metrics(run_dir: Path) -> None:
    """Three metrics of long names and two slices, each with its interval, and a guard's note."""
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        if line["kind"] == "eval":
            for name in ("balanced_accuracy", "macro_f1", "worst/exact_match", "exact_match[topic=art]"):
                line["metrics"][name], line["intervals"][name] = 0.5, [0.412, 0.588]
            line["notes"] = ["the guard on talk/loss bars these weights: 5.50 against 4.92, at most 0.5"]
    (run_dir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


SEEN = """selector => { const edge = document.documentElement.clientWidth;
  return [...document.querySelectorAll(selector)].map((e) => e.getBoundingClientRect())
    .every((box) => box.width > 0 && box.left >= 0 && box.right <= edge + 0.5); }"""


@pytest.mark.parametrize(
    ("width", "media"), [(1200, "screen"), (800, "screen"), (390, "screen"), (700, "print")]
)
def test_decision_and_reason_are_seen_with_any_number_of_metrics(
    show, run_dir, width: int, media: str
) -> None:
    many_metrics(run_dir)
    page = show(run_dir, width=width)
    page.emulate_media(media=media)
    assert page.evaluate(SEEN, "#verdicts .decision")
    assert page.evaluate(SEEN, "#verdicts .reason")
    assert page.evaluate(SEEN, "#verdicts td")


def test_nothing_on_paper_is_wider_than_the_paper(show, run_dir, make_run) -> None:
    labels = [f"a class with a long name {n}" for n in range(30)]
    (run_dir / "confusion.json").write_text(json.dumps({"labels": labels, "counts": [[7] * 30] * 30}))
    many_metrics(run_dir)
    page = show(run_dir, width=700)
    page.emulate_media(media="print")
    wide = "[...document.querySelectorAll('.scroll')].filter((e) => e.scrollWidth > e.clientWidth + 1).length"
    assert page.evaluate(wide) == 0


def test_two_looks_are_two_points_and_no_line(show, make_run) -> None:
    page = show(make_run(steps=20, every=20))
    chart = page.locator('svg[data-chart="exact_match"]')
    assert chart.locator("circle.dot").count() == 2
    assert chart.locator("path.whisker").count() == 2
    assert chart.locator("path.band").count() == 0
    assert chart.locator("path.line").evaluate("(e) => getComputedStyle(e).stroke") == "none"
    chart.hover(position={"x": chart.bounding_box()["width"] * 0.96, "y": 50})
    assert page.locator("figure", has=chart).locator("output").inner_text().startswith("step 20: ")

"""The page in a real browser: it lists, filters, overlays and follows, and nothing that runs say can run."""

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright")
NAMES = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = next((found for name in NAMES if (found := shutil.which(name))), None)
if PROGRAM is None:
    pytest.skip("no Chromium", allow_module_level=True)

pytestmark = pytest.mark.browser
sync_api.expect.set_options(timeout=20_000)

FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync"
CONTRAST = (Path(__file__).parents[1] / "report" / "contrast.js").read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=PROGRAM, args=FLAGS.split())
        yield chromium
        chromium.close()


@pytest.fixture
def show(browser, site) -> Iterator[Callable]:
    """Opens the printed address; at the end no page may have complained, or asked anybody else."""
    complaints: list[str] = []
    contexts = []

    def opener(*, width: int = 1300, scheme: str = "light", rows: int = 7):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        context.on("page", watch)
        page = context.new_page()
        page.goto(f"{site.url}?token={site.token}")
        sync_api.expect(page.locator("#runs tbody tr")).to_have_count(rows)
        return page

    def watch(page) -> None:
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.on("request", lambda r: r.url.startswith((site.url, "data:")) or complaints.append(r.url[:80]))

    yield opener
    for context in contexts:
        context.close()
    assert complaints == []


def names(page) -> list[str]:
    return page.eval_on_selector_all("#runs tbody th a", "links => links.map((link) => link.textContent)")


def points(page, title: str, index: int = 0) -> int:
    """How many points a curve has; 0 while there is no such chart."""
    found = page.query_selector(f'figure[data-chart="{title}"] svg')
    return int(found.get_attribute("data-points").split(",")[index]) if found else 0


def test_the_list(show, site) -> None:
    page = show()
    assert page.url == site.url, "the token has left the address"
    row = page.locator("tr", has=page.get_by_role("link", name="second"))
    assert "Good enough" in row.inner_text()
    assert "exact_match 0.87 reached 0.85 at step 40" in row.inner_text()
    assert row.locator("svg .goal").count() == 1
    chips = page.locator("#chips").inner_text().split("\n")
    assert chips == ["all 7", "running 0", "good enough 7", "ended otherwise 0", "need a look 0"]


def test_filter_and_sort(show) -> None:
    page = show()
    page.fill("#find", "accuracy deep")
    sync_api.expect(page.locator("#runs tbody tr")).to_have_count(1)
    assert names(page) == ["deep/er/third"]
    page.fill("#find", "nothing at all")
    assert page.inner_text("#none") == "No run matches the filter."
    page.fill("#find", "")
    page.get_by_role("button", name="run", exact=True).click()
    assert names(page) == sorted(names(page), key=str.lower)
    assert page.locator("th[aria-sort=ascending]").inner_text() == "run"
    before = names(page)
    page.get_by_role("button", name="run", exact=True).click()
    assert names(page) == before[::-1]


def test_one_run(show) -> None:
    page = show()
    page.get_by_role("link", name="first").click()
    page.wait_for_selector("figure[data-chart=exact_match] svg")
    assert (
        page.get_by_role("heading", level=1).inner_text()
        == "Good enough at step 40: exact_match 0.87 reached 0.85"
    )
    assert points(page, "exact_match") == 5
    assert points(page, "training loss") == 40
    chart = page.locator("figure[data-chart=exact_match]")
    assert chart.locator(".band").count() == 1
    assert chart.locator(".mark.stop").count() == 1
    assert page.locator("#verdicts tbody tr").count() == 5
    assert "exact_match 0.87 reached 0.85 at step 40" in page.locator("#verdicts tbody tr").first.inner_text()
    chart.locator("svg").hover(position={"x": chart.locator("svg").bounding_box()["width"] * 0.965, "y": 50})
    assert chart.locator("output").inner_text().startswith("step 40:0.8")
    assert "stop" in chart.locator("output").inner_text()
    page.select_option("#along", "tokens")
    drawn = page.locator('figure[data-chart="training loss"] svg')
    sync_api.expect(drawn).to_contain_text("tokens")


def test_the_report_of_a_run_opens(show) -> None:
    page = show()
    page.get_by_role("link", name="first").click()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="whole report").click()
    report = opened.value
    assert report.get_by_role("heading", level=1).inner_text().startswith("Good enough at step 40")
    assert report.evaluate("window.origin") == "null", "shut off from the page that lists"


def test_several_runs_overlaid(show, site, runs) -> None:
    recipe = runs / "second" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("rank: 8", "rank: 16"))
    page = show()
    for name in ("first", "second"):
        page.get_by_label(f"choose {name}").check()
    page.get_by_role("button", name="Overlay 2").click()
    page.wait_for_selector("figure[data-chart=exact_match] svg")
    sync_api.expect(page.locator("figure[data-chart=exact_match] path.line")).to_have_count(2)
    colours = page.eval_on_selector_all(
        "figure[data-chart=exact_match] path.line",
        "lines => lines.map((line) => getComputedStyle(line).stroke)",
    )
    assert len(set(colours)) == 2
    assert page.locator("#legend li").count() == 2
    assert page.locator("#verdicts tbody tr").count() == 2
    sync_api.expect(page.locator("#recipes tbody tr")).to_have_count(1)
    assert page.locator("#recipes tbody tr").inner_text().split() == ["tune.lora.rank", "8", "16"]
    page.get_by_label("take second away").click()
    sync_api.expect(page.locator("figure[data-chart=exact_match] path.line")).to_have_count(1)


HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"alert('owned')\">"


@pytest.fixture
def hostile(runs, make_run) -> None:
    """A run whose name, reasons and metrics are markup."""
    folder = make_run(runs / "hostile <img src=x onerror=alert(1)>", steps=10, every=5)
    text = (folder / "metrics.jsonl").read_text().replace("exact_match 0.62", HOSTILE.replace('"', "'"))
    (folder / "metrics.jsonl").write_text(text.replace('"perplexity"', '"<i>perplexity</i>"'))
    result = json.loads((folder / "result.json").read_text())
    result["stop"]["reason"] = HOSTILE
    (folder / "result.json").write_text(json.dumps(result))


def test_what_a_run_says_does_not_run(hostile, show) -> None:
    page = show(rows=8)
    assert "<script>document.title='owned'</script>" in page.inner_text("#runs")
    page.get_by_role("link", name="hostile").click()
    page.wait_for_selector("#verdicts tbody tr")
    assert HOSTILE in page.get_by_role("heading", level=1).inner_text()
    assert page.locator("img, main script, main i:not(.swatch)").count() == 0
    assert "<i>perplexity</i>" in page.inner_text("#charts")
    assert "<script>" in page.inner_text("#verdicts")
    assert not page.title().startswith("owned")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(show, scheme: str) -> None:
    page = show(scheme=scheme)
    found = page.evaluate(CONTRAST)
    assert len(found) > 30
    assert [pair for pair in found if pair[0] < 4.5] == []
    page.get_by_role("link", name="first").click()
    page.wait_for_selector("#verdicts tbody tr")
    assert [pair for pair in page.evaluate(CONTRAST) if pair[0] < 4.5] == []


@pytest.mark.parametrize("width", [390, 768])
def test_narrow_screens(show, width: int) -> None:
    page = show(width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("link", name="first").click()
    page.wait_for_selector("#verdicts tbody tr")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_run_is_followed_and_a_point_is_there_within_two_seconds(show, runs, write) -> None:
    page = show()
    process = write(runs / "live", steps=40, pause=0.5)
    page.get_by_role("link", name="live").click()
    page.wait_for_selector('figure[data-chart="training loss"] svg')
    assert "Running" in page.inner_text("#told")
    delays = []
    for line in process.stdout:
        written = json.loads(line)
        if "step" not in written or written["step"] < 4:
            continue
        while points(page, "training loss") < written["step"]:
            assert time.time() - written["at"] < 20, "no new point for 20 s"
            page.wait_for_timeout(20)
        delays.append(time.time() - written["at"])
        if len(delays) == 8:
            break
    assert statistics.median(delays) < 2, delays
    process.kill()
    process.wait()
    sync_api.expect(page.locator("#told")).to_contain_text("is gone")


def test_a_run_that_begins_and_one_that_goes_appear_and_disappear(show, runs, make_run) -> None:
    page = show()
    make_run(runs / "a new one", steps=5)
    sync_api.expect(page.locator("#runs")).to_contain_text("a new one")
    shutil.rmtree(runs / "a new one")
    sync_api.expect(page.locator("#runs")).not_to_contain_text("a new one")


def test_a_server_that_is_gone_is_said_so(browser, runs) -> None:
    code = "from tunesmith.cli.main import run; run()"
    command = [sys.executable, "-c", code, "ui", str(runs), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    page = browser.new_page()
    try:
        page.goto(process.stdout.readline().split()[-1])
        page.wait_for_selector("#pulse.on")
    finally:
        process.kill()
        process.wait()
    page.wait_for_selector("#pulse.off")
    assert "still running?" in page.inner_text("#pulse")
    page.close()


def test_a_thousand_runs(show, runs, make_run) -> None:
    template = make_run(runs / "many" / "run 0", steps=20, every=10)
    for number in range(1, 1000):
        shutil.copytree(template, runs / "many" / f"run {number}")
    page = show(rows=1007)
    assert page.locator("#runs tbody tr").count() == 1007
    started = time.time()
    page.fill("#find", "many 77")
    sync_api.expect(page.locator("#runs tbody tr")).to_have_count(19)
    assert time.time() - started < 10

"""The two figures of ``tunesmith ui``: a thousand runs listed, and how soon a new point is on the page.

Real processes: the server as the command starts it, headless Chromium as the visitor, and a run that appends
to its journal. Other work on the machine shows in the figures: they say how busy it was.

    .venv/bin/python benchmarks/bench_ui.py [--runs 1000] [--repeat 5] [--points 20]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
COMMAND = [sys.executable, "-c", "from tunesmith.cli.main import run; run()", "ui"]


def make_runs(folder: Path, count: int) -> None:
    """Finished runs of 60 steps as a real one leaves them; every tenth of them without an end."""
    spec = importlib.util.spec_from_file_location("written", ROOT / "tests" / "report" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    written = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(written)
    first = written.write_run(folder / "run 0", steps=60, every=20)
    for number in range(1, count):
        copy = folder / f"run {number}"
        shutil.copytree(first, copy)
        if number % 10 == 0:
            (copy / "result.json").unlink()


def start(folder: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [*COMMAND, str(folder), "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().split()[-1]


def stop(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def list_once(browser, folder: Path, count: int) -> tuple[float, float]:
    """Seconds from asking for the page to all rows in it: server just started, and asked again."""
    process, url = start(folder)
    try:
        found = [listed(browser, url, count) for _ in range(2)]
    finally:
        stop(process)
    return found[0], found[1]


def listed(browser, url: str, count: int) -> float:
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    page = context.new_page()
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_selector(f"body[data-listed='{count}']")
    took = time.perf_counter() - began
    assert page.locator("#runs tbody tr").count() == count
    context.close()
    return took


def delays(browser, folder: Path, count: int) -> list[float]:
    """Seconds from the line in the journal to the point in the picture, with all the other runs listed."""
    process, url = start(folder)
    writer = [
        sys.executable,
        str(ROOT / "tests" / "live" / "writer.py"),
        str(folder / "live"),
        str(count + 5),
        "0.73",
    ]
    run = subprocess.Popen(writer, stdout=subprocess.PIPE, text=True)
    try:
        page = browser.new_page()
        page.goto(url)
        page.get_by_role("link", name="live").click()
        drawn = page.locator('figure[data-chart="training loss"] svg')
        drawn.wait_for()
        return follow(page, drawn, run, count)
    finally:
        stop(run)
        stop(process)
        shutil.rmtree(folder / "live", ignore_errors=True)


def follow(page, drawn, run: subprocess.Popen[str], count: int) -> list[float]:
    found: list[float] = []
    assert run.stdout is not None
    for line in run.stdout:
        written = json.loads(line)
        if written.get("step", 0) < 5:
            continue
        while int(drawn.get_attribute("data-points") or 0) < written["step"]:
            page.wait_for_timeout(5)
        found.append(time.time() - written["at"])
        if len(found) == count:
            break
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--points", type=int, default=20)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        print("not measured: there is no Chromium")
        return
    with tempfile.TemporaryDirectory(prefix="bench-ui-") as name, sync_playwright() as playwright:
        folder = Path(name)
        make_runs(folder, options.runs)
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS.split())
        pairs = [list_once(browser, folder, options.runs) for _ in range(options.repeat)]
        points = delays(browser, folder, options.points)
        browser.close()
    tell(f"{options.runs} runs listed, server just started", [first for first, _ in pairs])
    tell(f"{options.runs} runs listed, server asked again", [again for _, again in pairs])
    tell("a new point on the page", points)
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def tell(what: str, seconds: list[float]) -> None:
    found = f"best {min(seconds):.2f}, median {statistics.median(seconds):.2f}, worst {max(seconds):.2f}"
    print(f"{what}: {found} s of {len(seconds)}")


if __name__ == "__main__":
    main()

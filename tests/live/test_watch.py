"""The live view: frames of every state, in a real terminal too, of runs that really go on."""

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time

import pytest
from rich.console import Console

from tunesmith.errors import UserError
from tunesmith.live.eta import eta
from tunesmith.live.follow import MOST_STEPS, follow_journal
from tunesmith.live.plot import plot
from tunesmith.live.watch import watch_run


def shown(run_dir, *, width: int = 100, once: bool = True, **options) -> tuple[str, int]:
    out = io.StringIO()
    status = watch_run(run_dir, once=once, console=Console(file=out, width=width, highlight=False), **options)
    return out.getvalue(), status


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_a_frame_fits_and_says_everything(write, tmp_path, width: int) -> None:
    process = write(tmp_path / "other", steps=45, pause=0.001, status="stopped")
    process.wait()
    text, status = shown(tmp_path / "other", width=width)
    assert status == 0
    assert max(map(len, text.splitlines())) <= width
    for word in (
        "ended",
        "Good enough at step 45",
        "exact_match",
        "training loss",
        "step 45 of 200",
        "tokens/s",
    ):
        assert word in " ".join(text.split())


def test_a_run_that_goes_on(write, until, tmp_path) -> None:
    process = write(tmp_path / "run", steps=25)
    until(lambda: (tmp_path / "run" / "metrics.jsonl").read_text().count("train") == 25, "25 steps")
    text, _ = shown(tmp_path / "run", width=110)
    assert "● running" in text
    assert "continue: exact_match 0.2 of 0.9" in text
    assert "step 25 of 200" in text
    assert "at most" in text
    assert "0.180 to 0.200" in text
    assert process.poll() is None


def test_a_run_that_has_not_begun(tmp_path) -> None:
    text, status = shown(tmp_path / "later")
    assert status == 0
    assert "has not begun" in text


def test_a_dead_run_is_said_so(write, tmp_path) -> None:
    process = write(tmp_path / "run", steps=5)
    process.kill()
    process.wait()
    text, status = shown(tmp_path / "run", once=False, every=0.05)
    assert status == 1
    assert f"its process {process.pid} is gone" in text
    assert "The run is lost" in " ".join(shown(tmp_path / "run")[0].split())


def test_it_waits_for_the_beginning_and_ends_with_the_run(write, tmp_path) -> None:
    out: list = []
    thread = threading.Thread(
        target=lambda: out.append(shown(tmp_path / "run", once=False, every=0.05, width=300))
    )
    thread.start()
    time.sleep(0.2)
    write(tmp_path / "run", steps=30, status="stopped")
    thread.join(60)
    [(text, status)] = out
    assert status == 0
    assert text.count("has not begun") == 1
    assert [int(step) for step in re.findall(r"^step (\d+)", text, re.MULTILINE)] == [0, 10, 20, 30]
    assert text.splitlines()[-1] == "Good enough at step 30: exact_match reached 0.9"


def test_a_half_written_line_is_normal(write, tmp_path) -> None:
    write(tmp_path / "run", steps=12, status="stopped").wait()
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "step": 13, "lo')
    followed = follow_journal(tmp_path / "run")
    assert followed.run.train[-1]["step"] == 12
    assert followed.run.problems == ()


def test_what_a_run_says_cannot_command_the_terminal(write, tmp_path) -> None:
    write(tmp_path / "run", steps=12, status="stopped").wait()
    path = tmp_path / "run" / "result.json"
    result = json.loads(path.read_text())
    result["stop"]["reason"] = "\x1b]0;owned\x07\x1b[2Jhello [bold red]x[/]\u202e"
    path.write_text(json.dumps(result))
    for once in (True, False):
        text, _ = shown(tmp_path / "run", once=once)
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
        assert "hello [bold red]x[/]" in text


def test_following_reads_only_what_is_new(write, tmp_path, monkeypatch) -> None:
    write(tmp_path / "run", steps=12, status="stopped").wait()
    before = follow_journal(tmp_path / "run")
    monkeypatch.setattr("tunesmith.live.follow.read_facts", lambda _: pytest.fail("read again"))
    after = follow_journal(tmp_path / "run", before)
    assert after.run == before.run
    assert after.place == before.place


def test_a_very_long_run_is_thinned(tmp_path) -> None:
    lines = [
        json.dumps({"kind": "train", "step": n, "loss": 1.0, "samples": "x" * 16}) for n in range(1, 45_001)
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    train = follow_journal(tmp_path).run.train
    assert MOST_STEPS / 2 <= len(train) <= MOST_STEPS
    assert [record["step"] for record in train[-1000:]] == list(range(44_001, 45_001))
    assert "samples" not in train[0]


def test_the_outlook(write, tmp_path) -> None:
    write(tmp_path / "run", steps=40, pause=0, status="stopped").wait()
    now = eta(follow_journal(tmp_path / "run").run)
    assert (now.step, now.last_step, now.tokens_per_second) == (40, 200, pytest.approx(800 / 19))
    assert now.seconds_left == pytest.approx(160, rel=0.03)


@pytest.mark.parametrize(("every", "what"), [(0, "no sensible time"), (float("nan"), "no sensible time")])
def test_options_that_make_no_sense(tmp_path, every: float, what: str) -> None:
    with pytest.raises(UserError, match=what):
        watch_run(tmp_path, every=every)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is not a run directory"):
        watch_run(tmp_path / "file")


class Terminal:
    """``tunesmith watch`` in a terminal of its own."""

    def __init__(self, run_dir, *, columns: int = 110) -> None:
        self.leader, follower = pty.openpty()
        code = "from tunesmith.cli.main import run; run()"
        command = [sys.executable, "-c", code, "watch", str(run_dir), "--every", "0.1"]
        env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "45"}
        self.process = subprocess.Popen(
            command, stdin=follower, stdout=follower, stderr=follower, env=env, start_new_session=True
        )
        os.close(follower)
        self.text = ""

    def read(self, what: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while what not in self.text:
            assert time.monotonic() < deadline, f"no {what!r} in {self.text[-2000:]!r}"
            if select.select([self.leader], [], [], 0.2)[0]:
                try:
                    self.text += os.read(self.leader, 65536).decode("utf-8", "replace")
                except OSError:
                    assert what in self.text
                    return


def test_in_a_terminal_until_the_end(write, tmp_path) -> None:
    terminal = Terminal(tmp_path / "run")
    terminal.read("has not begun")
    write(tmp_path / "run", steps=40, pause=0.02, status="stopped")
    terminal.read("● running")
    terminal.read("Good enough at step 40")
    assert terminal.process.wait(30) == 0
    assert "\x1b[?1049h" in terminal.text, "the other screen, so that what stood there comes back"
    terminal.read("\x1b[?1049l")


def test_leaving_a_terminal_leaves_the_run_alone(write, tmp_path) -> None:
    process = write(tmp_path / "run", steps=5)
    terminal = Terminal(tmp_path / "run")
    terminal.read("● running")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(30) == 0
    assert process.poll() is None


@pytest.mark.slow
def test_a_real_run(launcher, tmp_path) -> None:
    launched = launcher.start("causal-lm", f"run.dir={tmp_path}/run")
    text, status = shown(tmp_path / "run", once=False, every=0.1, width=300)
    assert (status, launched.wait()) == (0, 0)
    steps = [int(step) for step in re.findall(r"^step (\d+)", text, re.MULTILINE)]
    assert steps[:2] == [0, 20]
    final, _ = shown(tmp_path / "run")
    assert json.loads((tmp_path / "run" / "result.json").read_text())["stop"]["reason"].split(" at ")[
        0
    ] in " ".join(final.split())


def test_a_run_beyond_its_budget_is_at_a_step_of_no_number(write, tmp_path) -> None:
    write(tmp_path / "run", steps=45, pause=0.001, status="stopped").wait()
    path = tmp_path / "run" / "recipe.yaml"
    text = path.read_text()
    assert "200" in text
    path.write_text(text.replace("200", "30"))
    frame, _ = shown(tmp_path / "run")
    assert "step 45" in frame
    assert " of 30" not in frame


def test_two_looks_are_two_points() -> None:
    drawn = plot([(0.0, 0.0), (100.0, 1.0)], width=60, height=8, last_step=100.0, joined=False)
    used = [piece for row in drawn for piece, style in row.pieces if style == "line"]
    assert sum(map(len, used)) == 2

"""Programs that do what they should not, and ones that do what they should: all really run."""

import os
import socket
import time
from pathlib import Path

import pytest

from tunesmith.metrics.code import passes, program_of, same_output
from tunesmith.metrics.sandbox import Limits, can_be_apart, run, run_all

QUICK = Limits(seconds=2, memory=256)
APART = pytest.mark.skipif(not can_be_apart(), reason="this system lets nobody make namespaces")


@pytest.mark.parametrize(
    ("program", "well", "output"),
    [
        ("print(1 + 1)", True, "2"),
        ("import math, json, re, collections; print(math.pi > 3)", True, "True"),
        ("raise ValueError", False, ""),
        ("import sys; sys.exit(3)", False, ""),
        ("print(", False, ""),
        ("open('a', 'w').write('x'); print(open('a').read())", True, "x"),
        (
            "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}))",
            True,
            "['HOME', 'LANG', 'PATH', 'TMPDIR']",
        ),
        ("import sys; print(sys.stdin.read() == '')", True, "True"),
        ("print('\\ud800')", False, ""),
    ],
)
def test_ends_and_output(program, well, output) -> None:
    ran = run(program, QUICK)
    assert (ran.ended_well, ran.output.strip()) == (well, output)


@pytest.mark.parametrize(
    "program",
    [
        "while True: pass",
        "import time; time.sleep(60)",
        "x = 'a' * (1 << 30)",
        "x = []\nwhile True: x.append('a' * 1000000)",
        "import signal, time\nfor n in range(1, 30):\n  try: signal.signal(n, signal.SIG_IGN)\n"
        "  except OSError: pass\ntime.sleep(60)",
        "open('a', 'w').write('x' * (1 << 22))",
        "while True: print('x' * 1000)",
    ],
)
def test_what_takes_too_much_ends_soon(program) -> None:
    started = time.monotonic()
    ran = run(program, QUICK)
    assert not ran.ended_well
    assert len(ran.output) <= 1 << 20
    assert time.monotonic() - started < 6


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    """A child in the group; where there are namespaces, one that left the group, too."""
    leave = "os.setsid();" if can_be_apart() else ""
    beat = tmp_path / "beat"
    child = f"import os, time\n{leave}\nwhile True: open({str(beat)!r}, 'a').write('x'); time.sleep(0.05)"
    program = (
        f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {child!r}])\ntime.sleep(0.8)"
    )
    assert run(program, QUICK).ended_well
    assert beat.exists()
    size = beat.stat().st_size
    time.sleep(0.4)
    assert beat.stat().st_size == size


@APART
def test_no_network() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        ran = run(f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)", QUICK)
        assert not ran.ended_well
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_nothing_stays_behind() -> None:
    import tempfile

    before = set(os.listdir(tempfile.gettempdir()))
    run("open('left', 'w').write('x')", QUICK)
    new = set(os.listdir(tempfile.gettempdir())) - before
    assert not [name for name in new if name.startswith("tunesmith-code-")]


def test_many_at_a_time_keep_their_order() -> None:
    ran = run_all([f"print({n})" for n in range(8)], QUICK, workers=4)
    assert [one.output.strip() for one in ran] == [str(n) for n in range(8)]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("x = 1", "x = 1"),
        ("Here it is:\n```python\nx = 1\n```\nThat is all.", "x = 1"),
        ("```\nx = 1\ny = 2\n```", "x = 1\ny = 2"),
        ("```py\nx = 1", "x = 1"),
    ],
)
def test_the_code_in_an_answer(answer, code) -> None:
    assert program_of(answer) == code


def test_tests_after_an_answer() -> None:
    """An answer that leaves before the tests, or hides what they say, has not passed."""
    test = "assert double(2) == 4"
    answers = [
        "def double(x): return 2 * x",
        "def double(x): return x + 3",
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
        "def double(x): return 4\nimport builtins; builtins.print = lambda *a: None",
        "```python\ndef double(x):\n    return x * 2\n```",
    ]
    assert passes(answers, [test] * len(answers), QUICK, 2) == [1, 0, 0, 0, 0, 1]


def test_output_like_the_references() -> None:
    answers = ["print(4)", "print(2 + 2)", "print(5)", "import sys; print(4); sys.exit(1)", "print(4)"]
    references = ["print(4)"] * 4 + ["raise ValueError"]
    assert same_output(answers, references, QUICK, 2) == [1, 1, 0, 0, 0]

"""Programs that do what they should not, and ones that do what they should: all really run."""

import os
import socket
import time
from pathlib import Path

import pytest

from tunesmith.metrics.code import passes, program_of, same_output
from tunesmith.metrics.sandbox import Limits, _confinement, can_be_apart, run_all, run_program
from tunesmith.metrics.sandboxed.confined import HIDDEN

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
            "['HOME', 'LANG', 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'PATH', 'TMPDIR']",
        ),
        ("import sys; print(sys.stdin.read() == '')", True, "True"),
        ("print('\\ud800')", False, ""),
    ],
)
def test_ends_and_output(program, well, output) -> None:
    ran = run_program(program, QUICK)
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
    ran = run_program(program, QUICK)
    assert not ran.ended_well
    assert len(ran.output) <= 1 << 20
    assert time.monotonic() - started < 20  # one of them sleeps for 60


@pytest.mark.parametrize("leave", ["", "os.setsid()"])
def test_what_it_started_ends_with_it(leave: str) -> None:
    """A child in the group, and one that left it."""
    mark = f"tunesmith-left-{os.getpid()}-{bool(leave)}"
    child = f"import os, time\n{leave}\ntime.sleep(60)"
    program = (
        f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {child!r}, {mark!r}])\n"
        "time.sleep(0.5)"
    )
    assert run_program(program, QUICK).ended_well
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if mark.encode() in read(path)]


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize(
    "program",
    [
        # many processes, and much memory or many files of several together; each of them alone is allowed.
        # A child leaves and never forks, so that there are few even where nothing stops them.
        "import os, time\nfor i in range(60):\n  if os.fork() == 0: time.sleep(30); os._exit(0)\n"
        "time.sleep(1.5)",
        "import os, time\nfor i in range(5):\n  if os.fork() == 0:\n    x = bytearray(90 << 20)\n"
        "    time.sleep(30); os._exit(0)\n"
        "time.sleep(1.8)",
        "for i in range(40): open(f'f{i}', 'w').write('x' * 900_000)\nimport time; time.sleep(0.5)",
    ],
)
def test_one_bound_for_all_that_it_starts(program: str) -> None:
    assert not run_program(program, QUICK).ended_well


@APART
def test_nothing_is_read_or_written_elsewhere(tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    answers.write_text("secret")
    tmp_path.chmod(0o777)
    if _hides():
        assert "secret" not in run_program(f"print(open({str(answers)!r}).read())", QUICK).output
    for path in (tmp_path / "new", "/dev/shm/tunesmith-new", "/tmp/tunesmith-new"):
        assert not run_program(f"open({str(path)!r}, 'w')", QUICK).ended_well
        assert not Path(path).exists()


def _hides() -> bool:
    return bool(_confinement() & HIDDEN)


@APART
def test_no_network() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        ran = run_program(f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)", QUICK)
        assert not ran.ended_well
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_nothing_stays_behind() -> None:
    import tempfile

    before = set(os.listdir(tempfile.gettempdir()))
    run_program("open('left', 'w').write('x')", QUICK)
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


SEEKS = (  # finds the pipes in the frames below, as an answer that knows how it is run could
    "import json, os, sys\nframe = sys._getframe()\n"
    "while 'listen' not in frame.f_locals: frame = frame.f_back\n"
    "say, listen = frame.f_locals['say'], frame.f_locals['listen']\nos.write(say, b'1')\ntext = b''\n"
    "while more := os.read(listen, 1 << 16): text += more\n"
)


@pytest.mark.parametrize(
    "answer",
    [
        "print(open('program.py').read())\nimport os; os._exit(0)",
        "import os\nfor fd in range(3, 20):\n  try: os.write(fd, b'1' * 40)\n  except OSError: pass\n"
        "os._exit(0)",
        SEEKS + "os._exit(0)",
        SEEKS + "os.write(say, json.loads(text)['sign'].encode()); os._exit(0)",
        "import os\ndef double(x): os._exit(0)",
        "def double(x): raise SystemExit(0)",
        "class Any:\n  def __eq__(self, other): return True\ndef double(x): return Any()",
        "import builtins\nbuiltins.exec = exec = lambda *a: None\ndef double(x): return 3",
        "import math\nmath.isclose = lambda *a, **k: True\ndef double(x): return 3",
    ],
)
def test_cheats_do_not_pass(answer: str) -> None:
    test = (
        "import math\nassert math.isclose(double(2), 4)" if "isclose" in answer else "assert double(2) == 4"
    )
    assert passes([answer], [test], QUICK, 1) == [0]


def test_what_is_right_passes_whatever_the_tests_are() -> None:
    pairs = [
        ("def double(x): return 2 * x", "import math\nassert math.isclose(double(2), 4)"),
        ("class P:\n  def __init__(self, x): self.x = x", "assert P(3).x == 3"),
        ("x = 3", "assert x == 3"),
        ("def order(xs): xs.sort()", "xs = [2, 1]\norder(xs)\nassert xs == [1, 2]"),
        ("def double(x): return 2 * x", "def check(f):\n  assert f(2) == 4\ncheck(double)"),
        ("anything = 1", "assert True"),
    ]
    answers, tests = zip(*pairs, strict=True)
    assert passes(answers, tests, QUICK, 2) == [1] * len(pairs)


def test_output_like_the_references() -> None:
    answers = ["print(4)", "print(2 + 2)", "print(5)", "import sys; print(4); sys.exit(1)", "print(4)"]
    references = ["print(4)"] * 4 + ["raise ValueError"]
    assert same_output(answers, references, QUICK, 2) == [1, 1, 0, 0, 0]

"""Whatever a process says, libraries and tracebacks included, its secrets stay inside."""

import os
import subprocess
import sys

import pytest

SECRET = "correct-horse-battery-staple"
CHILD = """
import logging, os, sys, warnings
from tunesmith.cli.messages import guarded
secret = os.environ["MY_PASSWORD"]

def act():
    print("printed", secret)
    sys.stdout.writelines(["lines ", secret, "\\n"])
    print("error", secret, file=sys.stderr)
    warnings.warn("warned " + secret)
    logging.warning("logged %s", secret)
    from rich.console import Console
    Console().print("rich", secret)
    assert sys.stdout.encoding and not sys.stdout.isatty() and sys.stdout.fileno() == 1
    END

sys.exit(guarded(act))
"""


@pytest.mark.parametrize(
    ("end", "status", "word"),
    [
        ("return 0", 0, ""),
        ("raise ValueError('raised ' + secret)", 1, "ValueError: raised ********"),
        (
            "from tunesmith.errors import UserError; raise UserError('mistaken ' + secret)",
            2,
            "mistaken ********",
        ),
        (
            "os.environ.pop('MY_PASSWORD'); raise ValueError('https://me:s3cr3t-word@host')",
            1,
            "https://********@host",
        ),
    ],
)
def test_streams(end: str, status: int, word: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD.replace("END", end)],
        env={"MY_PASSWORD": SECRET, "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == status, done.stderr
    for said in ("printed ********", "lines ********", "rich ********"):
        assert said in done.stdout
    for said in ("error ********", "warned ********", "logged ********", word):
        assert said in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert "s3cr3t-word" not in done.stderr.replace("raise ValueError('https://me:s3cr3t-word@host')", "")


UNREAD = """
import os, sys
from tunesmith.cli.messages import guarded
from tunesmith.cli.messages import outlive_reader

def act():
    if sys.argv[1] == "run":
        outlive_reader()
    sys.stdin.read()  # until whoever reads has gone
    for _ in range(3):
        print("x" * 70_000, flush=True)
        print("y" * 70_000, file=sys.stderr, flush=True)
    from rich.console import Console
    Console().print("z")
    assert os.open("/dev/null", os.O_RDONLY) > 2  # no file takes the place of a stream
    os.system("echo a child speaks")
    open(sys.argv[2], "w").write("to its end")
    return 0

sys.exit(guarded(act))
"""


def unread(kind, path, out):
    """Status of a process whose output cannot be written, and whether it came to its end."""
    reading, writing = os.pipe()
    place = writing if out == "pipe" else os.open(out, os.O_WRONLY) if out != "closed" else None
    command = [sys.executable, "-c", UNREAD, kind, str(path)]
    closing = {"preexec_fn": lambda: (os.close(1), os.close(2))} if place is None else {}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=place, stderr=place, **closing)
    os.close(writing)
    os.close(reading)
    process.communicate(b"")
    return process.returncode, path.exists()


@pytest.mark.parametrize("out", ["pipe", "/dev/full", "closed"])
def test_a_run_outlives_whoever_reads_what_it_prints(tmp_path, out):
    assert unread("run", tmp_path / "end", out) == (0, True)


def test_what_does_nothing_but_print_ends_with_its_reader(tmp_path):
    status, ended = unread("print", tmp_path / "end", "pipe")
    assert status
    assert not ended


def test_a_terminal_that_knows_no_more_than_ascii_ends_nothing():
    code = "from tunesmith.cli.messages import redact_streams\nredact_streams()\nprint('é', flush=True)"
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "\\xe9\n")

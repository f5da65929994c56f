"""Whatever a process says, libraries and tracebacks included, its secrets stay inside."""

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

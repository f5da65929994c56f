"""Write the lock files anew from constraints.txt: every version with the SHA-256 of each of its files.

    python lock/renew.py [arguments for `uv pip compile`, such as --index-url]

It needs uv for all packages but torch, whose build for processors is fetched with pip and hashed, because
which build an index gives under that version is the index's choice.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
CONSTRAINTS = HERE.parent / "constraints.txt"
BUILD = frozenset(
    {"pip", "setuptools", "wheel", "ninja", "packaging", "hatchling", "editables"}
    | {"pathspec", "pluggy", "trove-classifiers", "py-cpuinfo", "psutil"}
)
"""What builds packages, installed first: nothing is built in isolation, where tools would come unhashed."""
LAST = ("deepspeed",)
"""What asks the installed torch about itself while it is built."""


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def hashed(arguments: list[str]) -> dict[str, str]:
    """Name to its lines, from uv."""
    command = ["uv", "pip", "compile", str(CONSTRAINTS), "--python-version", "3.11", "--generate-hashes"]
    command += ["--no-deps", "--no-header", "--no-annotate", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    blocks = re.split(r"\n(?=\w)", done.stdout.strip())
    return {normal(block.partition("==")[0]): block for block in blocks}


def torch_lines() -> str:
    """The lines of torch, from the wheel that pip would install."""
    pin = next(line for line in CONSTRAINTS.read_text().splitlines() if line.startswith("torch=="))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", folder, pin]
        subprocess.run(command, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        return f"{pin} \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


def main() -> None:
    """Write the three files."""
    found = hashed(sys.argv[1:]) | {"torch": torch_lines()}
    parts = {
        "build.txt": [name for name in found if name in BUILD],
        "packages.txt": [name for name in found if name not in (*BUILD, *LAST)],
        "last.txt": [name for name in found if name in LAST],
    }
    for file, names in parts.items():
        (HERE / file).write_text("".join(f"{found[name]}\n" for name in sorted(names)))


if __name__ == "__main__":
    main()

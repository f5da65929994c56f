"""pip, run as the user would run it, with the user's own index, proxies and credentials."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.redact import redact


def download_wheel(requirement: str, folder: Path, where: str = "") -> Path:
    """Bring one wheel, without its dependencies, and run nothing that is in it.

    Args:
        requirement: ``NAME==VERSION``, already checked to be just that.
        folder: an empty folder for the file.
        where: the place in the recipe, for the message.

    Raises:
        UserError: pip is missing, or could not bring the wheel.
    """
    command = [
        sys.executable,
        "-P",
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--no-input",
    ]
    command += ["--disable-pip-version-check", "--progress-bar", "off", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode == 0:
        wheels = sorted(folder.glob("*.whl"))
        if len(wheels) == 1:
            return wheels[0]
    reason = last_meaningful_line(done.stderr) or last_meaningful_line(done.stdout) or "pip gave no reason"
    if "No module named pip" in done.stderr:
        raise UserError(
            f"pip is not installed beside {sys.executable}, and `{requirement}` is brought by pip",
            where,
            "install pip into this environment (`python -m ensurepip`), or name a local path",
        )
    raise UserError(
        f"pip could not bring `{requirement}`: {reason}",
        where,
        f"try `{Path(sys.executable).name} -m pip download --no-deps {requirement}`; set the index with "
        "PIP_INDEX_URL or `pip config`, or download the wheel elsewhere and give PIP_FIND_LINKS its folder",
    )


def last_meaningful_line(output: str) -> str:
    """The line of pip's output that says why: its last error, versions that exist included.

    Secrets inside URLs are struck out.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    chosen = errors[-1] if errors else (lines[-1] if lines else "")
    versions = re.search(r"\(from versions: ([^()]+)\)", output)
    if versions and versions[1] != "none":
        newest = [version.strip() for version in versions[1].split(",")][-8:]
        chosen += f" (versions there: {', '.join(newest)})"
    return redact(chosen)[:400]

"""Small inputs on which tunesmith once went wrong: each folder's ``run.sh`` says what is right, and ends with 0.

What many of them need, tiny models and tokenizers, stands in ``shared/`` and is laid beside each.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).parent
NAMES = sorted(path.parent.name for path in CASES.glob("*/run.sh"))


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_case(name: str, tmp_path: Path) -> None:
    for folder in (CASES / "shared", CASES / name):
        shutil.copytree(folder, tmp_path / "case", dirs_exist_ok=True)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", str(tmp_path / "case" / "run.sh")],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=800,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]

"""The doctor on two hosts over a real ssh: they meet, see one folder, and a silent one is named."""

import importlib.util
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_SPEC = importlib.util.spec_from_file_location("doctor_sshd", Path(__file__).with_name("sshd.py"))
sshd = importlib.util.module_from_spec(_SPEC)
sys.modules["doctor_sshd"] = sshd
_SPEC.loader.exec_module(sshd)

pytestmark = pytest.mark.skipif(
    sshd.missing() is not None, reason=f"no sshd here: {sshd.missing()} is missing"
)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    with sshd.two_hosts(tmp_path_factory.mktemp("ssh")) as found:
        yield found


def doctor(hosts, *lines: str) -> tuple[int, str, float]:
    start = time.monotonic()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tunesmith",
            "doctor",
            "--on",
            "cpu_2proc",
            "--hostfile",
            str(hosts.hostfile(*lines)),
        ],
        env={**hosts.environ, "CUDA_VISIBLE_DEVICES": ""},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, " ".join((done.stdout + done.stderr).split()), time.monotonic() - start


def test_two_hosts_meet_and_see_one_folder(hosts) -> None:
    status, text, elapsed = doctor(hosts, "one slots=1", "two slots=1")
    assert status == 0, text
    assert "2 processes met and reduced 32 MB" in text
    assert "every machine that came sees the run directory" in text
    assert elapsed < 30  # both "hosts" start their programs on the one machine that this is
    assert not list(ROOT.glob(".tunesmith-doctor-*"))
    assert not list((ROOT / "runs").glob(".tunesmith-doctor-*"))


def test_a_silent_host_is_named_in_seconds(hosts) -> None:
    status, text, elapsed = doctor(hosts, "one slots=1", "silent slots=1")
    assert status == 2
    assert "`silent`" in text
    assert elapsed < 30

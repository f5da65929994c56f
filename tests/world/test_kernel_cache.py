"""Products of ever new shapes do not fill the memory."""

import os
import subprocess
import sys

import pytest

from tunesmith.world.memory import KERNEL_CACHES, bound_kernel_cache

GROWTH = """
import os
from tunesmith.world.memory import bound_kernel_cache
if {bound}:
    bound_kernel_cache(os.environ)
import torch
if not torch.backends.mkldnn.is_available() or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
    raise SystemExit("none")
torch.set_num_threads(1)
layer = torch.nn.Linear(64, 64, bias=False).bfloat16()
resident = lambda: int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
def learn(length):
    layer(torch.ones(length, 64, dtype=torch.bfloat16)).float().sum().backward()
for length in range(300, 700):
    learn(length)
before = resident()
for length in range(700, 900):
    learn(length)
print((resident() - before) >> 20)
"""


def grown(*, bound: bool) -> int:
    """MiB that 200 lengths leave behind, once 400 others have filled what is bounded."""
    environ = {name: value for name, value in os.environ.items() if name not in KERNEL_CACHES}
    command = [sys.executable, "-c", GROWTH.format(bound=bound)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=200)
    if "none" in done.stderr:
        pytest.skip("skipped: this processor does not compute in bfloat16")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_what_is_set_already_stays() -> None:
    environ = {KERNEL_CACHES[0]: "7"}
    bound_kernel_cache(environ)
    assert environ == {KERNEL_CACHES[0]: "7", KERNEL_CACHES[1]: "256"}


@pytest.mark.slow
def test_ever_new_lengths_leave_little_behind() -> None:
    assert grown(bound=True) < grown(bound=False) * 0.4

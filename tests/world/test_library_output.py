"""A run shows what somebody can act on, and no bar fills a file."""

import os
import subprocess
import sys

import pytest


def said(code: str) -> str:
    """What a process writes to a file for its errors."""
    environ = {name: value for name, value in os.environ.items() if name != "TQDM_DISABLE"}
    code = f"from tunesmith.world.library_output import quiet_imports\nquiet_imports()\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


def test_a_bar_is_drawn_on_terminals_alone():
    assert said("from tqdm.auto import tqdm\nlist(tqdm(range(3), desc='Converting'))") == ""


@pytest.mark.slow
def test_nothing_is_said_of_kernels_for_weights_that_are_not_quantised():
    """bitsandbytes says it on processors with AVX-512 BF16; here it is made to believe in one."""
    code = (
        "import torch\nfrom unittest import mock\n"
        "with mock.patch('torch._C._cpu._is_avx512_bf16_supported', lambda: True, create=True):\n"
        "    import peft\n    import bitsandbytes\n"
    )
    assert said(code) == ""

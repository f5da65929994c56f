"""fp8 is refused where nothing computes in it, before anything is loaded."""

import pytest
import torch

pytestmark = pytest.mark.slow


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU may have it")
def test_fp8_without_the_hardware(launcher, tmp_path):
    arguments = ["causal-lm", f"run.dir={tmp_path}/run"]
    done = launcher.run(*arguments, status=2, ACCELERATE_MIXED_PRECISION="fp8")
    assert "no device here computes in it" in done.err
    assert "`bf16`" in done.err
    assert not (tmp_path / "run").exists()

"""Libraries announce much that a user cannot act on; a run shows only what somebody can."""

from __future__ import annotations

import logging
import os
import warnings

import torch

from tunesmith.model.kernels import fetch_no_kernels
from tunesmith.world.quiet import quiet_imports


def quieten() -> None:
    """Turn off progress bars, notices and warnings of the libraries underneath; errors stay."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")  # else deepspeed warns that it found no other
    fetch_no_kernels()
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    quiet_imports()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(torch|transformers|peft|accelerate)\b")

"""The optimiser of a recipe over the parameters that learn."""

from __future__ import annotations

from typing import Any

import torch

from tunesmith.recipe.schema.tune import Optimizer


def make_optimizer(model: Any, section: Optimizer) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) or Adafactor (Shazeer & Stern 2018, 1804.04235).

    Weight decay spares biases and normalisation weights, as is usual: everything with fewer than two
    dimensions.
    """
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learning if p.ndim >= 2], "weight_decay": section.weight_decay},
        {"params": [p for p in learning if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if section.name == "adafactor":
        return torch.optim.Adafactor(groups, lr=section.learning_rate)
    return torch.optim.AdamW(
        groups, lr=section.learning_rate, betas=section.betas, eps=section.eps, fused=True
    )

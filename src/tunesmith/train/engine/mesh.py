"""Where a process stands on each axis along which a run is spread over processes.

Today there is one axis: data parallelism, where each process sees other rows. Whoever means shares of the
batch asks for ``dp_size`` and ``dp_rank``, and not how many processes there are: along an axis that divided
the model instead, several processes would see the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """Size and rank on each axis.

    Attributes:
        dp_size: shares into which rows are divided: data parallelism, sharded weights or not.
        dp_rank: which of these this process sees, from 0.
    """

    dp_size: int = 1
    dp_rank: int = 0


def mesh_of(accelerator: Accelerator) -> Mesh:
    """The mesh of the processes that have joined."""
    return Mesh(dp_size=accelerator.num_processes, dp_rank=accelerator.process_index)


def sum_over_dp(accelerator: Accelerator, values: Sequence[float]) -> list[float]:
    """Totals over the shares of the rows, the same on every process."""
    if mesh_of(accelerator).dp_size == 1:
        return [float(value) for value in values]
    total = torch.tensor(values, dtype=torch.float64, device=accelerator.device)
    return [float(value) for value in accelerator.reduce(total, reduction="sum").tolist()]


def all_gather_rows(accelerator: Accelerator, rows: torch.Tensor) -> list[torch.Tensor]:
    """The rows of every process, [n of that process, ...] each; processes may have different numbers."""
    if mesh_of(accelerator).dp_size == 1:
        return [rows]
    counts = accelerator.gather(torch.tensor([len(rows)], device=accelerator.device)).tolist()
    padded = rows.new_zeros((max(counts), *rows.shape[1:]))
    padded[: len(rows)] = rows
    found = accelerator.gather(padded).split(max(counts)) if max(counts) else [rows] * len(counts)
    return [one[:count] for one, count in zip(found, counts, strict=True)]

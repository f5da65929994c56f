"""Bytes that one process receives in a step, by what is sharded. Pure.

Rajbhandari et al. 2020, arXiv 1910.02054, section 7: data parallelism and ZeRO-1 and -2 move twice the
gradients (reduce-scatter, then all-gather), ZeRO-3 gathers the weights forwards and again backwards and
scatters the gradients: three times, half as much again. Here gradients are float32, and so are the
trained weights that are gathered; frozen weights travel in the arithmetic's type.
"""

from __future__ import annotations

from dataclasses import dataclass

from tunesmith.plan.cost.weights import Weights

FULL = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Communication:
    """Bytes that each process receives.

    Attributes:
        step: once a step.
        micro: in each of the step's passes.
        collectives: operations of a step among all processes, for one pass.
    """

    step: float
    micro: float
    collectives: int

    def total(self, accumulation: int) -> float:
        """Bytes of a step of so many passes."""
        return self.step + self.micro * accumulation


def communication_of(
    weights: Weights,
    *,
    stage: int,
    processes: int,
    frozen_bytes: float,
    blocks: int,
) -> Communication:
    """Bytes each process receives in a step.

    Args:
        weights: all, and which learn.
        stage: ZeRO's; FSDP2 is 3.
        processes: that share.
        frozen_bytes: of a frozen weight.
        blocks: layers, each of which is a collective of its own at stage 3.
    """
    share = (processes - 1) / processes
    gradients = FULL * weights.trained * share
    if stage < 3:
        # Stage 1 and 2 in DeepSpeed reduce each pass's gradients at stage 2, at the end at stage 1.
        return Communication(step=2 * gradients, micro=0.0, collectives=max(1, weights.trained // 10**8))
    whole = (FULL * weights.trained + frozen_bytes * weights.frozen) * share
    return Communication(step=0.0, micro=2 * whole + gradients, collectives=3 * max(blocks, 1))

"""Seconds of one optimiser step on devices of published rates. Pure.

One model for every device and size, with constants that are stated and not fitted row by row; docs/scaling.md
holds it against published measurements.

- Products run at the published peak, and beside that each byte of the device's memory is moved once for
  ``INTENSITY`` operations, without overlap: seconds = F (1 / peak + 1 / (INTENSITY x bandwidth)). A device
  whose memory is slow for its arithmetic reaches less of its peak, as the roofline model has it
  (Williams et al. 2009, doi 10.1145/1498765.1498785).
- A pass reads every weight three times (forwards, and twice backwards) whatever the number of tokens, and
  moves what it keeps for the backward pass ``KEPT_MOVES`` times: written, read, and the same of its gradient.
- AdamW reads weight, gradient and two moments and writes three of them: 28 bytes a weight that learns.
- A ring collective's bytes cross the slowest link on the way: a device's own within a machine; between
  machines all devices of a machine share its network cards (Patarasu & Yuan 2009, doi
  10.1016/j.jpdc.2008.09.002). ``LINK`` of the published rate is reached.
- Half of the traffic hides behind products at best; each collective costs its latency.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2
from typing import Literal

from tunesmith.plan.cost.communication import Communication
from tunesmith.plan.devices import Cluster

INTENSITY = 400.0
"""Floating-point operations for each byte that a device moves."""
LINK = 0.75
"""Share of a link's published rate that a collective reaches."""
LATENCY = 20e-6
"""Seconds of one collective for each doubling of the number of processes."""
UPDATE_BYTES = 28
KEPT_MOVES = 4
ATTENTION = 2.0
"""Times as long as a plain product an operation of attention takes (Dao 2023, arXiv 2307.08691, figure 5)."""
HIDDEN = 0.5
"""Share of traffic that hides behind products, where they last long enough."""

Bound = Literal["arithmetic", "memory", "network", "batch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """Seconds of one step and what they are made of.

    Attributes:
        arithmetic: products at the peak rate.
        memory: moving operands, weights and optimizer state.
        network: traffic that nothing hides, and latencies.
    """

    arithmetic: float
    memory: float
    network: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.arithmetic + self.memory + self.network

    @property
    def bound(self) -> Bound:
        """What takes most of it."""
        parts: dict[Bound, float] = {
            "arithmetic": self.arithmetic,
            "memory": self.memory,
            "network": self.network,
        }
        return max(parts, key=lambda name: parts[name])


def step_time(
    cluster: Cluster,
    traffic: Communication,
    *,
    flops: float,
    accumulation: int,
    stored_bytes: float,
    kept_bytes: float,
    updated: float,
) -> StepTime:
    """Seconds of one step.

    Args:
        cluster: on which it runs, a process a device.
        traffic: of one process.
        flops: of one process in one step, recomputation included.
        accumulation: passes of one process.
        stored_bytes: of all weights as a pass reads them.
        kept_bytes: that one pass keeps for its backward pass, or would without recomputation.
        updated: weights that one process updates.
    """
    device = cluster.device
    arithmetic = flops / device.flops
    reads = 3 * stored_bytes * accumulation / device.bandwidth
    moved = KEPT_MOVES * kept_bytes * accumulation + UPDATE_BYTES * updated
    memory = max(flops / INTENSITY / device.bandwidth, reads) + moved / device.bandwidth
    travelling = traffic.total(accumulation) / link_rate(cluster)
    passes = accumulation if traffic.micro else 1
    waiting = traffic.collectives * passes * LATENCY * ceil(log2(cluster.size)) if cluster.size > 1 else 0.0
    return StepTime(
        arithmetic=arithmetic,
        memory=memory,
        network=max((1 - HIDDEN) * travelling, travelling - arithmetic - memory) + waiting,
    )


def link_rate(cluster: Cluster) -> float:
    """Bytes a second at which one process receives in a collective of all."""
    rate = cluster.device.link
    if cluster.machines > 1:
        outside = cluster.device.network * cluster.per_machine
        rate = min(rate, outside) if cluster.per_machine > 1 else outside
    return LINK * rate

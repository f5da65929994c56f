"""Throughput, hours and the smallest stage that fits, on devices that need not be here. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tunesmith.plan.batch import Division
from tunesmith.plan.cost.activations import kept_bytes
from tunesmith.plan.cost.communication import Communication, communication_of
from tunesmith.plan.cost.step_time import ATTENTION, StepTime, step_time
from tunesmith.plan.devices import Cluster
from tunesmith.plan.recommend import LORA_RANK, Recommendation, recommend, with_lora
from tunesmith.plan.workload import Workload, batch_division, can_divide, cost_of, pass_of, regime_of

HOST_RATE = 20e9
"""Bytes a second between a device and its host's memory that offload reaches (PCIe 4, 16 lanes)."""
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterEstimate:
    """One job on one cluster.

    Attributes:
        cluster: where.
        choice: the sharding and why; ``choice.fits`` tells whether the rest means anything.
        job: with the batch that can be shared among all devices.
        division: of that batch.
        raised: whether that batch is larger than the recipe's.
        time: of one step.
        traffic: of one process.
        tokens: computed in one step by all processes.
        flops: of one step, all processes together, recomputation included.
    """

    cluster: Cluster
    choice: Recommendation
    job: Workload
    division: Division
    raised: bool
    time: StepTime
    traffic: Communication
    tokens: float
    flops: float

    @property
    def rate(self) -> float:
        """Tokens (or samples) a second, all devices together."""
        return self.tokens / self.time.total

    @property
    def utilisation(self) -> float:
        """Share of the published peak that the operations which are needed make up (MFU)."""
        cost = cost_of(self.job)
        share = cost.needed / cost.done if cost.done else 1.0
        return self.flops * share / self.time.total / (self.cluster.size * self.cluster.device.flops)

    def hours(self, steps: int, batch: int) -> float:
        """Hours for as many samples as so many steps of the recipe's batch have."""
        return steps * batch / self.division.size * self.time.total / 3600


def estimate_on_cluster(job: Workload, cluster: Cluster) -> ClusterEstimate:
    """What a job would do on a cluster, sharded as cheaply as fits.

    A batch that cannot be shared evenly is raised to the next multiple of the number of devices, since the
    question is what the cluster can do; ``raised`` tells.
    """
    ours = job if can_divide(job, cluster.size) else _raised(job, cluster.size)
    choice = recommend(ours, processes=cluster.size, capacity=cluster.device.memory)
    ours = _changed_as(ours, choice)
    division = batch_division(ours, cluster.size)
    work = pass_of(ours, division.micro, largest=False)
    sharding = choice.sharding
    traffic = communication_of(
        ours.network.weights,
        stage=sharding.stage,
        processes=cluster.size,
        frozen_bytes=ours.precision.frozen_bytes,
        blocks=ours.network.dimensions.blocks if ours.network.dimensions else 1,
    )
    cost = cost_of(ours)
    # Attention runs slower than other products, so its operations count for more time.
    each = (cost.done + (ATTENTION - 1) * cost.attention) * work.tokens * division.accumulation
    shared = 1 if sharding.stage == 0 else cluster.size
    time = step_time(
        cluster,
        traffic,
        flops=each,
        accumulation=division.accumulation,
        stored_bytes=ours.network.weights.products * ours.precision.narrow,
        kept_bytes=_kept(ours, division),
        updated=ours.network.weights.trained / shared,
    )
    if sharding.offload_parameters:
        time = replace(time, network=time.network + _host_seconds(ours, division, cluster))
    return ClusterEstimate(
        cluster=cluster,
        choice=choice,
        job=ours,
        division=division,
        raised=division.size > job.batch,
        time=time,
        traffic=traffic,
        tokens=work.tokens * division.accumulation * cluster.size,
        flops=cost.done * work.tokens * division.accumulation * cluster.size,
    )


def cluster_table(job: Workload, cluster: Cluster, counts: Sequence[int] = COUNTS) -> list[ClusterEstimate]:
    """The same job on 1 to 512 devices of one type."""
    return [estimate_on_cluster(job, sized(cluster, count)) for count in counts]


def sized(cluster: Cluster, devices: int) -> Cluster:
    """So many devices, on machines like the cluster's."""
    per_machine = min(devices, cluster.per_machine)
    return replace(cluster, machines=-(-devices // per_machine), per_machine=per_machine)


def _raised(job: Workload, processes: int) -> Workload:
    batch = -(-job.batch // processes) * processes
    micro = job.micro
    if isinstance(micro, int):
        share = batch // processes
        micro = max(size for size in range(1, min(micro, share) + 1) if share % size == 0)
    return replace(job, batch=batch, micro=micro)


def _changed_as(job: Workload, choice: Recommendation) -> Workload:
    """The job with the micro-batch and the recomputation that a recommendation asks for."""
    for change in choice.changes:
        key, _, value = change.partition("=")
        if key == "batch.micro":
            job = replace(job, micro=int(value))
        if key == "batch.checkpointing":
            job = replace(job, checkpointing=True)
        if key == "tune.lora":
            job = with_lora(job, LORA_RANK)
    return job


def _kept(job: Workload, division: Division) -> float:
    """Bytes that a pass moves as activations; recomputation moves them all the same."""
    if job.network.dimensions is None:
        return job.network.counted * division.micro
    work = pass_of(job, division.micro, largest=False)
    blocks = max(0, job.network.dimensions.blocks - job.network.weights.first_learning_block)
    numbers = regime_of(job, division, "gpu").numbers
    return kept_bytes(job.network.dimensions, numbers, work, learning_blocks=blocks, checkpointing=False)


def _host_seconds(job: Workload, division: Division, cluster: Cluster) -> float:
    """Weights come from the host for each pass, twice; gradients go there, and the host updates."""
    whole = 4.0 * job.network.weights.trained + job.precision.frozen_bytes * job.network.weights.frozen
    moved = 2 * whole * division.accumulation + 8.0 * job.network.weights.trained
    return moved / cluster.size / HOST_RATE

"""The planner's figures as text. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from tunesmith.numbers import bytes_text, flops_text, seconds_text, table_text
from tunesmith.plan.batch import Division
from tunesmith.plan.cluster import ClusterEstimate
from tunesmith.plan.cost.communication import communication_of
from tunesmith.plan.cost.memory_parts import STEP, MemoryParts
from tunesmith.plan.recommend import USABLE, Recommendation
from tunesmith.plan.workload import Workload, cost_of, pass_of

Device = Literal["cpu", "gpu"]
PARTS = ("weights", "gradients", "optimizer", "activations", "logits", "buffers")


def memory_lines(rows: Mapping[str, MemoryParts], capacity: float | None, marked: str = "") -> list[str]:
    """The table of one process's memory, a row a way of sharding; ``marked`` is the chosen one."""
    body = []
    for name, parts in rows.items():
        fits = "" if capacity is None else ("fits" if parts.peak <= USABLE * capacity else "too large")
        cells = [bytes_text(value) for value in parts.named().values()]
        chosen = " <-" if name == marked else ""
        body.append((name, *cells, bytes_text(parts.peak), fits + chosen))
    lines = table_text(("memory", *PARTS, "at once", ""), body)
    host = max((parts.host for parts in rows.values()), default=0.0)
    lines += [
        f"           {', '.join(names)}: most {phase}; at most {bytes_text(most)} in a step"
        for phase, (names, most) in _elsewhere(rows).items()
    ]
    if any(parts.overlap for parts in rows.values()):
        lines.append("           gradients arise while activations go, so less is there at once than the sum")
    if host:
        lines.append(
            f"           beside it, in the host's memory for each process: {bytes_text(host)} at most"
        )
    return lines


def _elsewhere(rows: Mapping[str, MemoryParts]) -> dict[str, tuple[list[str], float]]:
    """Phases other than a step in which most is there: for which rows, and what their largest step takes."""
    found: dict[str, tuple[list[str], float]] = {}
    for name, parts in rows.items():
        if parts.phase != STEP:
            names, most = found.get(parts.phase, ([], 0.0))
            found[parts.phase] = ([*names, name], max(most, parts.step))
    return found


def type_lines(job: Workload, *, sharded: bool, dtype: str, precision_note: str = "") -> list[str]:
    """What is kept in which type."""
    learning = "adapters" if job.lora else "trained weights"
    lines = [
        f"types      {learning} float32, which are the master weights; moments float32",
        "           gradients float32, and summed among processes in float32",
    ]
    if job.network.weights.frozen:
        kept = (
            dtype
            if job.precision.frozen_bytes == job.precision.narrow
            else f"{8 * job.precision.frozen_bytes:.1f} bits on average"
        )
        lines.append(f"           frozen weights {kept}")
    cast = "; float32 weights are cast for each product" if job.precision.autocast else ""
    lines.append(f"           products {dtype}{cast}; normalisation, loss and log-probabilities float32")
    if sharded:
        lines.append("           DeepSpeed updates a float32 copy of the share that a process holds")
    return [*lines, *([f"           {precision_note}"] if precision_note else [])]


def work_lines(job: Workload, division: Division) -> list[str]:
    """Operations of a step and of the run, and the tokens that a pass computes."""
    cost, typical = cost_of(job), pass_of(job, division.micro, largest=False)
    largest = pass_of(job, division.micro, largest=True)
    unit = "tokens" if job.network.dimensions is not None else "samples"
    passes = division.accumulation * division.processes
    step = cost.done * typical.tokens * passes
    again = ", recomputation included" if job.checkpointing else ""
    whole = f"; {flops_text(step * job.steps)} in {job.steps:,} steps" if job.steps else ""
    each = f"{typical.tokens:,.0f} {unit} a pass ({largest.tokens:,.0f} in the largest)"
    return [
        f"work       {each}, {typical.tokens * passes:,.0f} a step",
        f"           {flops_text(cost.done)} for each of the {unit}, {flops_text(step)} a step{whole}{again}",
    ]


def traffic_lines(job: Workload, division: Division) -> list[str]:
    """Bytes that each process receives in a step, at every stage."""
    if division.processes == 1:
        return ["traffic    none: one process"]
    blocks = job.network.dimensions.blocks if job.network.dimensions else 1
    words = []
    for stages, stage in (("0, 1 and 2", 2), ("3", 3)):
        traffic = communication_of(
            job.network.weights,
            stage=stage,
            processes=division.processes,
            frozen_bytes=job.precision.frozen_bytes,
            blocks=blocks,
        )
        words.append(f"{bytes_text(traffic.total(division.accumulation))} at stage {stages}")
    return [f"traffic    received by each process in a step: {'; '.join(words)}"]


def choice_lines(choice: Recommendation, profile: str) -> list[str]:
    """The recommended way, why, and what of the recipe must change for it."""
    if not choice.fits:
        return [f"choice     none: {choice.why}"]
    lines = [f"choice     {profile}: {choice.why}"]
    if choice.changes:
        lines.append(f"           changes of the recipe: {' '.join(choice.changes)}")
    return lines


def cluster_lines(each: ClusterEstimate, steps: int | None, batch: int) -> list[str]:
    """What a job does on one cluster."""
    cluster, time = each.cluster, each.time
    device = cluster.device
    lines = [
        f"cluster    {cluster}: {cluster.size} devices of {bytes_text(device.memory)}, "
        f"{device.flops / 1e12:,.0f} TFLOP/s, {device.bandwidth / 1e9:,.0f} GB/s ({device.source})",
        *choice_lines(each.choice, _stage_words(each.choice)),
    ]
    if not each.choice.fits:
        return lines
    lines.append(
        f"memory     {bytes_text(each.choice.memory.peak)} of {bytes_text(device.memory)} on each device"
    )
    if each.raised:
        lines.append(
            f"batch      {each.division.size} instead of the recipe's {batch}, which cannot be shared among "
            f"{cluster.size}; a larger batch learns otherwise"
        )
    rate, whole = each.rate, time.total
    lines += [
        f"step       {seconds_text(whole)}: {time.arithmetic / whole:.0%} arithmetic, "
        f"{time.memory / whole:.0%} memory, {time.network / whole:.0%} network; bound by {time.bound}",
        f"speed      {rate:,.0f} tokens a second, {rate / cluster.size:,.0f} for each device; "
        f"{each.utilisation:.0%} of the peak",
    ]
    if steps is not None:
        hours = each.hours(steps, batch)
        lines.append(
            f"time       {seconds_text(hours * 3600)} for {steps:,} steps of {batch}, without evaluations; "
            f"{hours * cluster.size:,.1f} device hours"
        )
    lines.append("           (a model of the time, within a third of most published rates: docs/scaling.md)")
    return lines


def table_lines(rows: Sequence[ClusterEstimate], steps: int | None, batch: int) -> list[str]:
    """1 to 512 devices, a row each, with what bounds it."""
    head = ("devices", "choice", "batch", "micro", "memory", "tokens/s", "each", "peak", "time", "bound by")
    body = []
    for each in rows:
        devices, size = str(each.cluster.size), f"{each.division.size}{'*' if each.raised else ''}"
        if not each.choice.fits:
            body.append((devices, "nothing fits", size, "", bytes_text(each.choice.memory.peak), *[""] * 5))
            continue
        hours = each.hours(steps, batch) if steps is not None else None
        body.append(
            (
                devices,
                _stage_words(each.choice),
                size,
                f"{each.division.micro}x{each.division.accumulation}",
                bytes_text(each.choice.memory.peak),
                f"{each.rate:,.0f}",
                f"{each.rate / each.cluster.size:,.0f}",
                f"{each.utilisation:.0%}",
                seconds_text(hours * 3600) if hours is not None else "",
                each.time.bound,
            )
        )
    lines = table_text(head, body, left=2)
    if any(each.raised for each in rows):
        lines.append(
            f"* the recipe's batch of {batch} cannot be shared among so many; a larger one learns otherwise"
        )
    if any(each.choice.changes for each in rows):
        changes = next(each.choice.changes for each in rows if each.choice.changes)
        lines.append(f"~ only with changes of the recipe, such as {' '.join(changes)}")
    return lines


def _stage_words(choice: Recommendation) -> str:
    sharding, changed = choice.sharding, "~" if choice.changes else ""
    if sharding.processes == 1:
        return "one process" + changed
    if sharding.stage == 0:
        return "data parallel" + changed
    name = "FSDP2" if sharding.engine == "fsdp2" else f"ZeRO-{sharding.stage}"
    return name + (", offload" if sharding.offload_parameters else "") + changed

"""Hold the planner's step-time model against throughputs that others have published.

    .venv/bin/python benchmarks/published.py

Nothing is fitted here: the model and its constants are those of ``tunesmith.plan.cost.step_time``. Every
row's
own settings (size, length, micro-batch, accumulation, recomputation, number of devices) go in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median

from tunesmith.plan.cost.communication import Communication
from tunesmith.plan.cost.step_time import ATTENTION, step_time
from tunesmith.plan.devices import Cluster, find_device


@dataclass(frozen=True)
class Row:
    """A published measurement: tokens a second for each device, and how they were reached."""

    source: str
    model: str
    device: str
    devices: int
    length: int
    micro: int
    accumulation: int
    again: float  # share of the forward pass that is computed again
    parameters: float
    width: int
    layers: int
    measured: float
    lora: bool = False
    causal: bool = True


FOUNDRY = "llm-foundry"
SHAPES = {
    "125m": (768, 12),
    "1b": (2048, 24),
    "3b": (2560, 32),
    "7b": (4096, 32),
    "13b": (5120, 40),
    "30b": (7168, 48),
    "70b": (8192, 80),
}


def foundry(
    model: str,
    device: str,
    devices: int,
    length: int,
    micro: int,
    accumulation: int,
    again: int,
    parameters: float,
    measured: float,
) -> Row:
    """A row of scripts/train/benchmarking/README.md of mosaicml/llm-foundry, 061f2c7 (MPT models)."""
    width, layers = SHAPES[model]
    return Row(
        FOUNDRY,
        model,
        device,
        devices,
        length,
        micro,
        accumulation,
        float(again),
        parameters * 1e9,
        width,
        layers,
        measured,
    )


ROWS = (
    foundry("70b", "H100", 64, 2048, 8, 4, 1, 64.862, 1039),
    foundry("70b", "H100", 32, 2048, 2, 16, 1, 64.862, 882),
    foundry("30b", "H100", 32, 2048, 14, 3, 1, 29.975, 2308),
    foundry("30b", "H100", 16, 2048, 10, 3, 1, 29.975, 2263),
    foundry("30b", "H100", 8, 2048, 3, 21, 1, 29.975, 2002),
    foundry("13b", "H100", 64, 2048, 2, 1, 0, 12.854, 4800),
    foundry("13b", "H100", 16, 2048, 2, 1, 0, 12.854, 4767),
    foundry("13b", "H100", 8, 2048, 2, 1, 0, 12.854, 4792),
    foundry("13b", "H100", 8, 16384, 3, 3, 1, 12.927, 2985),
    foundry("7b", "H100", 8, 2048, 6, 1, 0, 6.6589, 10643),
    foundry("7b", "H100", 8, 8192, 8, 2, 1, 6.684, 6935),
    foundry("7b", "H100", 8, 32768, 2, 2, 1, 6.785, 3318),
    foundry("3b", "H100", 64, 2048, 6, 3, 0, 2.6518, 22525),
    foundry("3b", "H100", 16, 2048, 10, 3, 0, 2.6518, 24142),
    foundry("1b", "H100", 64, 2048, 20, 1, 0, 1.316, 44402),
    foundry("1b", "H100", 8, 2048, 14, 1, 0, 1.316, 45455),
    foundry("70b", "A100-80GB", 64, 2048, 8, 4, 1, 64.862, 410),
    foundry("70b", "A100-80GB", 32, 2048, 2, 16, 1, 64.862, 373),
    foundry("30b", "A100-80GB", 8, 2048, 3, 21, 1, 29.975, 916),
    foundry("13b", "A100-80GB", 8, 2048, 2, 3, 0, 12.854, 2262),
    foundry("7b", "A100-80GB", 8, 2048, 6, 2, 0, 6.6589, 4641),
    foundry("7b", "A100-80GB", 8, 8192, 8, 2, 1, 6.684, 3206),
    foundry("3b", "A100-80GB", 8, 2048, 10, 2, 0, 2.6518, 10811),
    foundry("1b", "A100-80GB", 8, 2048, 14, 4, 0, 1.316, 20513),
    foundry("125m", "A100-80GB", 8, 2048, 32, 2, 0, 0.1253, 141737),
    foundry("70b", "A100-40GB", 128, 2048, 4, 1, 1, 64.862, 376),
    foundry("30b", "A100-40GB", 128, 2048, 6, 1, 1, 29.975, 865),
    foundry("13b", "A100-40GB", 128, 2048, 16, 1, 1, 12.854, 1972),
    foundry("7b", "A100-40GB", 128, 2048, 18, 1, 1, 6.6589, 3623),
    foundry("7b", "A100-40GB", 8, 2048, 12, 4, 1, 6.6589, 3679),
    # The same project's H100 scaling table, given as shares of the peak (45.7 %, 42.2 %, 41.3 %); the
    # micro-batches are taken from the rows above.
    foundry("7b", "H100", 128, 2048, 6, 1, 0, 6.6589, 10474),
    foundry("7b", "H100", 512, 2048, 6, 1, 0, 6.6589, 9672),
    foundry("70b", "H100", 512, 2048, 8, 1, 1, 64.862, 1008),
    # benchmarks/llama3_h100_202412_torchtitan.md of pytorch/torchtitan, 31a17bf, tables 1 and 3; "selective"
    # recomputation is taken for a third of the forward pass. Its H100 has 2.4 TB/s, and 500 W, which
    # the model knows nothing of.
    Row("torchtitan", "Llama-3.1-8B", "H100, 2.4 TB/s", 8, 8192, 2, 1, 0.33, 7.5e9, 4096, 32, 5762),
    Row("torchtitan", "Llama-3.1-8B, compiled", "H100, 2.4 TB/s", 8, 8192, 2, 1, 0.33, 7.5e9, 4096, 32, 6667),
    Row("torchtitan", "Llama-3.1-8B", "H100, 2.4 TB/s", 128, 8192, 2, 1, 0.33, 7.5e9, 4096, 32, 5605),
    Row(
        "torchtitan", "Llama-3.1-8B, compiled", "H100, 2.4 TB/s", 128, 8192, 2, 1, 0.33, 7.5e9, 4096, 32, 6514
    ),
    # README.md of pytorch/torchtune, bd2a0fc: batch 2 of 4096 packed tokens.
    Row("torchtune", "Llama-3.2-3B", "A100-80GB", 1, 4096, 2, 1, 0, 3.21e9, 3072, 28, 7075),
    Row("torchtune", "Llama-3.2-3B, compiled", "A100-80GB", 1, 4096, 2, 1, 0, 3.21e9, 3072, 28, 8998),
    Row(
        "torchtune",
        "Llama-3.2-3B, compiled, recomputed",
        "A100-80GB",
        1,
        4096,
        2,
        1,
        1,
        3.21e9,
        3072,
        28,
        7210,
    ),
    Row(
        "torchtune",
        "Llama-3.2-3B LoRA, compiled, recomputed",
        "A100-80GB",
        1,
        4096,
        2,
        1,
        1,
        3.21e9,
        3072,
        28,
        8210,
        lora=True,
    ),
    # The same, 0031bfb: batch 2 of 2048 packed tokens, compiled; recomputation is not mentioned, none taken.
    Row("torchtune", "Llama-3.1-8B LoRA", "RTX4090", 1, 2048, 2, 1, 0, 7.5e9, 4096, 32, 3083, lora=True),
    Row("torchtune", "Llama-3.1-8B LoRA", "A6000", 1, 2048, 2, 1, 0, 7.5e9, 4096, 32, 4699, lora=True),
    Row("torchtune", "Llama-3.1-8B", "A6000", 1, 2048, 2, 1, 0, 7.5e9, 4096, 32, 2579),
    Row("torchtune", "Llama-3.1-70B LoRA", "A100-80GB", 8, 2048, 2, 1, 0, 69.5e9, 8192, 80, 437, lora=True),
)


def predicted(row: Row) -> float:
    """Tokens a second for each device, by the planner's model.

    These programs gather bfloat16 weights, so 2 bytes travel for each where tunesmith's are 4.
    """
    name, _, bandwidth = row.device.partition(", ")
    device = find_device(name)
    if bandwidth:
        device = replace(device, bandwidth=float(bandwidth.removesuffix(" TB/s")) * 1e12)
    per_machine = min(8, row.devices)
    cluster = Cluster(machines=row.devices // per_machine, per_machine=per_machine, device=device)
    tokens = row.length * row.micro
    attention = ATTENTION * 4 * row.width * row.length * row.layers / 2
    forward = 2 * row.parameters + attention
    backward = 2 * row.parameters * (1 if row.lora else 2) + 2 * attention
    share = (row.devices - 1) / row.devices
    weights = 2 * row.parameters * share
    gradients = (0 if row.lora else 4) * row.parameters * share
    traffic = Communication(step=0.0, micro=2 * weights + gradients, collectives=3 * row.layers)
    seconds = step_time(
        cluster,
        traffic,
        flops=(forward * (1 + row.again) + backward) * tokens * row.accumulation,
        accumulation=row.accumulation,
        stored_bytes=2 * row.parameters,
        kept_bytes=34 * row.width * row.layers * tokens,
        updated=0 if row.lora else row.parameters / row.devices,
    ).total
    return tokens * row.accumulation / seconds


def main() -> None:
    """Print the table."""
    print("| source | model | devices | length | micro-batch | published tokens/s/device | model | error |")
    print("|---|---|---|---|---|---|---|---|")
    errors = []
    for row in ROWS:
        value = predicted(row)
        error = value / row.measured - 1
        errors.append(error)
        print(
            f"| {row.source} | {row.model} | {row.devices} x {row.device} | {row.length:,} | {row.micro} | "
            f"{row.measured:,.0f} | {value:,.0f} | {error:+.0%} |"
        )
    absolute = sorted(abs(error) for error in errors)
    print(
        f"\n{len(errors)} rows: median error {median(absolute):.0%} (signed {median(errors):+.0%}), "
        f"90 % of rows within {absolute[int(0.9 * len(absolute))]:.0%}, worst {absolute[-1]:.0%}"
    )


if __name__ == "__main__":
    main()

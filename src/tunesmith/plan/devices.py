"""Accelerators and their published peak rates, and clusters of them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

from tunesmith.errors import UserError

GB = 10**9
GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceType:
    """What a maker publishes of an accelerator.

    Attributes:
        name: as it is written in ``--cluster``.
        flops: peak of dense 16-bit matrix products with float32 sums, floating-point operations a second.
        memory: bytes.
        bandwidth: of that memory, bytes a second.
        link: to the others of its machine, bytes a second in one direction.
        network: to other machines, bytes a second for each device; an assumption, not a property of it.
        source: where the figures stand.
    """

    name: str
    flops: float
    memory: float
    bandwidth: float
    link: float
    network: float
    source: str


def _device(
    name: str, tflops: float, gib: float, gb_s: float, link_gb_s: float, network_gbit: float, source: str
) -> DeviceType:
    return DeviceType(
        name=name,
        flops=tflops * 1e12,
        memory=gib * GIB,
        bandwidth=gb_s * GB,
        link=link_gb_s * GB,
        network=network_gbit / 8 * GB,
        source=source,
    )


DEVICES = {
    device.name: device
    for device in (
        _device("V100-16GB", 125, 16, 900, 150, 100, "NVIDIA V100 data sheet (float16, no bfloat16)"),
        _device("V100-32GB", 125, 32, 900, 150, 100, "NVIDIA V100 data sheet (float16, no bfloat16)"),
        _device("T4", 65, 16, 320, 16, 25, "NVIDIA T4 data sheet (float16, no bfloat16)"),
        _device("A10", 125, 24, 600, 32, 100, "NVIDIA A10 data sheet"),
        _device("A10G", 70, 24, 600, 32, 100, "AWS EC2 G5 page and NVIDIA's figures for it"),
        _device("A40", 149.7, 48, 696, 32, 100, "NVIDIA A40 data sheet"),
        _device("A6000", 154.8, 48, 768, 32, 100, "NVIDIA RTX A6000 data sheet"),
        _device("A100-40GB", 312, 40, 1555, 300, 200, "NVIDIA A100 data sheet (SXM)"),
        _device("A100-80GB", 312, 80, 2039, 300, 200, "NVIDIA A100 data sheet (SXM)"),
        _device("RTX3090", 71, 24, 936, 16, 25, "NVIDIA Ampere GA102 white paper"),
        _device("RTX4090", 165.2, 24, 1008, 32, 25, "NVIDIA Ada architecture white paper"),
        _device("L4", 121, 24, 300, 32, 100, "NVIDIA L4 data sheet"),
        _device("L40S", 362, 48, 864, 32, 100, "NVIDIA L40S data sheet"),
        _device("H100-PCIE", 756, 80, 2000, 64, 200, "NVIDIA H100 data sheet (PCIe)"),
        _device("H100", 989.4, 80, 3350, 450, 400, "NVIDIA H100 data sheet (SXM)"),
        _device("H200", 989.4, 141, 4800, 450, 400, "NVIDIA H200 data sheet (SXM)"),
        _device("GH200", 989.4, 96, 4000, 450, 400, "NVIDIA GH200 data sheet (96 GB HBM3)"),
        _device("B200", 2250, 180, 7700, 900, 400, "NVIDIA DGX B200 data sheet, an eighth of it"),
        _device("MI250X", 383, 128, 3277, 100, 200, "AMD Instinct MI250X data sheet, both dies"),
        _device("MI300X", 1307.4, 192, 5300, 448, 400, "AMD Instinct MI300X data sheet"),
    )
}
"""Sparse rates are halved: training's products are dense. A machine's network is taken as customary."""

ALIASES = {
    "A100": "A100-80GB",
    "A100-40": "A100-40GB",
    "A100-80": "A100-80GB",
    "V100": "V100-32GB",
    "4090": "RTX4090",
    "3090": "RTX3090",
    "H100-80GB": "H100",
    "H100-SXM": "H100",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Equal machines with equal devices.

    Attributes:
        machines: number of them.
        per_machine: devices of each.
        device: their type.
    """

    machines: int
    per_machine: int
    device: DeviceType

    @property
    def size(self) -> int:
        """Devices in all."""
        return self.machines * self.per_machine

    def __str__(self) -> str:
        return f"{self.machines}x{self.per_machine}x{self.device.name}"


def find_device(name: str) -> DeviceType:
    """The device of that name, in whatever case.

    Raises:
        UserError: there is none; the nearest are told.
    """
    wanted = re.sub(r"[\s_]+", "-", name.strip()).upper().removeprefix("NVIDIA-").removeprefix("AMD-")
    known = {each.upper(): each for each in (*DEVICES, *ALIASES)}
    if wanted in known:
        found = known[wanted]
        return DEVICES[ALIASES.get(found, found)]
    near = get_close_matches(wanted, list(known), n=3, cutoff=0.5)
    guess = f"did you mean {' or '.join(f'`{known[each]}`' for each in near)}? " if near else ""
    raise UserError(
        f"no device is called `{name}`", hint=f"{guess}Known are {', '.join(sorted(DEVICES, key=str.upper))}"
    )


def parse_cluster(text: str) -> Cluster:
    """Read ``4x8xH100`` (machines, devices of each, type) or ``8xA100-80GB`` (one machine).

    Raises:
        UserError: it is written otherwise, or the device is unknown.
    """
    match = re.fullmatch(r"\s*(?:(\d{1,6})\s*[xX*]\s*)?(\d{1,6})\s*[xX*]\s*(\S.*?)\s*", text)
    if match is None or int(match[1] or 1) < 1 or int(match[2]) < 1:
        raise UserError(
            f"`--cluster {text}` is no cluster",
            hint="write MACHINESxDEVICESxTYPE, such as `4x8xH100`, or DEVICESxTYPE, such as `8xA100-80GB`",
        )
    return Cluster(machines=int(match[1] or 1), per_machine=int(match[2]), device=find_device(match[3]))


def recognise(name: str) -> DeviceType | None:
    """The published figures of a device by the name that its driver gives, None if it is not known.

    ``NVIDIA A100-SXM4-80GB`` is an A100-80GB.
    """
    words = re.sub(r"[^A-Z0-9]+", " ", name.upper())
    compact = words.replace(" ", "")
    for each in sorted(DEVICES, key=len, reverse=True):
        model, _, memory = each.upper().partition("-")
        if model in compact and (not memory or memory in compact):
            return DEVICES[each]
    return None

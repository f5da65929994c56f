"""Memory of one process: its parts in a step, and what the phases around the steps take. Pure."""

from __future__ import annotations

from dataclasses import dataclass

STEP, LOADING, EXPORT = "in a step", "while the model is loaded", "while the model is written"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryParts:
    """Bytes of one process.

    Attributes:
        weights: of the model.
        gradients: when all are there.
        optimizer: moments and copies of the weights.
        activations: kept for the backward pass.
        logits: and their gradients.
        buffers: gathered layers, buckets, casts, compiled products, and what libraries need for themselves.
        overlap: bytes of gradients that are not there yet while all activations are; not a part.
        snapshot: of the state, in the host's memory while a checkpoint is written.
        offloaded: in the host's memory (or on its disk), for good.
        on_host: whether the device is the host, so that all of it is one memory.
        loading: most before the first step, on a host that is the device.
        export: most after the last, likewise.
    """

    weights: float
    gradients: float
    optimizer: float
    activations: float
    logits: float
    buffers: float
    overlap: float = 0.0
    snapshot: float = 0.0
    offloaded: float = 0.0
    on_host: bool = False
    loading: float = 0.0
    export: float = 0.0

    @property
    def step(self) -> float:
        """Most bytes at once on the device in a step."""
        parts = self.weights + self.gradients + self.optimizer + self.activations + self.logits + self.buffers
        return parts - self.overlap + (self.offloaded if self.on_host else 0.0)

    @property
    def peak(self) -> float:
        """Most bytes at once on the device."""
        return max(self.step, self.loading, self.export)

    @property
    def phase(self) -> str:
        """When that is."""
        return max((self.step, STEP), (self.loading, LOADING), (self.export, EXPORT))[1]

    @property
    def host(self) -> float:
        """Bytes beside the device's."""
        return 0.0 if self.on_host else self.snapshot + self.offloaded

    def named(self) -> dict[str, float]:
        """The parts that a device holds, by name."""
        names = ("weights", "gradients", "optimizer", "activations", "logits", "buffers")
        return {name: getattr(self, name) for name in names}

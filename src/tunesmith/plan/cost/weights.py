"""Which weights there are and which of them learn, as names and sizes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

from tunesmith.model.tune.select import block_of, block_stack, is_head

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Every weight of a model, tied ones once.

    Attributes:
        shapes: name to shape, in the model's order.
        learning: names of those that learn.

    """

    shapes: Shapes
    learning: frozenset[str]

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Name to number of elements."""
        return {name: prod(shape) for name, shape in self.shapes.items()}

    @cached_property
    def total(self) -> int:
        """Number of parameters."""
        return sum(self.sizes.values())

    @cached_property
    def trained(self) -> int:
        """Number of parameters that learn."""
        return sum(self.sizes[name] for name in self.learning)

    @property
    def frozen(self) -> int:
        """Number of parameters that do not learn."""
        return self.total - self.trained

    @cached_property
    def adapters(self) -> int:
        """Number of parameters in LoRA adapters, all of which learn."""
        return sum(size for name, size in self.sizes.items() if is_adapter(name))

    @cached_property
    def untied(self) -> bool:
        """Whether there is an output layer beside the embedding; an adapter on a tied one makes none."""
        return any(is_head(name) and not is_adapter(name) for name in self.sizes)

    @cached_property
    def products(self) -> int:
        """Parameters that multiply activations: matrices, but for a lookup table (an embedding).

        A tied embedding is the output layer, too, and counts.
        """
        tables = {name for name in self.sizes if is_embedding(name)}
        words = max(tables, key=lambda name: self.sizes[name], default="")
        lookups = tables if self.untied else tables - {words}
        return sum(
            self.sizes[name] for name, shape in self.shapes.items() if len(shape) > 1 and name not in lookups
        )

    @cached_property
    def stack(self) -> str:
        """Name of the list of blocks."""
        return block_stack({name: size for name, size in self.sizes.items() if not is_adapter(name)})

    @cached_property
    def largest_block(self) -> int:
        """Parameters of the largest block."""
        blocks: dict[int, int] = {}
        for name, size in self.sizes.items():
            index = block_of(name, self.stack) if self.stack else None
            if index is not None:
                blocks[index] = blocks.get(index, 0) + size
        return max(blocks.values(), default=0)

    @cached_property
    def first_learning_block(self) -> int:
        """Index of the lowest block through which a gradient flows; the number of blocks if none does."""
        indices = {name: block_of(name, self.stack) if self.stack else None for name in self.sizes}
        count = 1 + max((index for index in indices.values() if index is not None), default=-1)
        learning = [indices[name] for name in self.learning]
        if any(
            index is None and is_embedding(name) for name, index in indices.items() if name in self.learning
        ):
            return 0
        return min((index for index in learning if index is not None), default=count)


def is_adapter(name: str) -> bool:
    """Whether a parameter belongs to a LoRA adapter."""
    return ".lora_" in name


def is_embedding(name: str) -> bool:
    """Whether a parameter is a lookup table."""
    parts = name.split(".")
    return any(part in _TABLES for part in parts)


_TABLES = frozenset(
    "embed_tokens wte wpe word_embeddings position_embeddings token_type_embeddings embed_in".split()  # noqa: SIM905
)

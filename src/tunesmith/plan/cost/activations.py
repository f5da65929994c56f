"""Bytes that a forward pass keeps for the backward pass. Pure.

The idea is that of Korthikanti et al. 2022, arXiv 2205.05198, section 4.1: count the tensors that each
operation of a layer saves. Their layer (GPT, 16 bit, dropout, attention written out) keeps
``s b h (34 + 5 a s / h)`` bytes, equation 2; full recomputation keeps ``2 s b h``, section 5. The counts
below are of the layers as transformers computes them here, with float32 where it uses float32; a test
compares them with what torch really saves.
"""

from __future__ import annotations

from dataclasses import dataclass

from tunesmith.plan.cost.dimensions import Dimensions

WIDE = 4
"""Bytes of a float32 number: what normalisation and the residual stream use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What goes through the model at once.

    Attributes:
        tokens: positions computed, padding included.
        rows: sequences; 1 where examples are packed.
        supervised: positions whose logits are computed.
    """

    tokens: float
    rows: int
    supervised: float

    @property
    def squares(self) -> float:
        """Entries of the attention masks."""
        return self.tokens**2 / self.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What is computed in which type.

    Attributes:
        narrow: bytes of a number of the arithmetic: 4 or 2.
        autocast: whether float32 weights are cast for each product.
        lora: whether adapters learn and the layers are frozen.
        rank: of the adapters.
        fused_attention: whether attention with dropout keeps no matrix of probabilities (GPUs).
    """

    narrow: int
    autocast: bool
    lora: bool
    rank: int = 0
    fused_attention: bool = False


def block_bytes(dim: Dimensions, numbers: Numbers, work: Pass) -> float:
    """Bytes that one block keeps."""
    count = {"decoder": _decoder, "gpt2": _gpt2, "encoder": _encoder}[dim.kind]
    per_token = count(dim, numbers) + _adapters(dim, numbers)
    return per_token * work.tokens + _attention_bytes(dim, numbers, work)


def kept_bytes(
    dim: Dimensions, numbers: Numbers, work: Pass, *, learning_blocks: int, checkpointing: bool
) -> float:
    """Bytes that the whole forward pass keeps, and with recomputation one block's more.

    Args:
        dim: the model's.
        numbers: its types.
        work: one micro-batch.
        learning_blocks: blocks through which a gradient flows; those below keep nothing.
        checkpointing: whether each block keeps its input only, and is computed again.
    """
    if learning_blocks == 0:
        return 0.0
    block = block_bytes(dim, numbers, work)
    # Embedding and last normalisation, too, learn where everything does.
    ends = work.tokens * dim.hidden * WIDE * (1 if numbers.lora or learning_blocks < dim.blocks else 3)
    if checkpointing:
        residual = numbers.narrow if numbers.lora else WIDE
        return work.tokens * dim.hidden * residual * learning_blocks + block + ends
    return block * learning_blocks + ends


def logit_bytes(dim: Dimensions, work: Pass) -> float:
    """Bytes of logits where most are alive, as the backward pass begins.

    Log-probabilities, their gradient and the logits' are float32, 12 bytes each; that is so in bfloat16,
    too, where the float32 copy takes the place of what is narrower.
    """
    return 12.0 * work.supervised * dim.vocabulary


def _decoder(dim: Dimensions, numbers: Numbers) -> float:
    """Normalised before attention and before a gated MLP; keys and values repeated for every head."""
    norms = 2 if numbers.lora else 4
    wide = norms * dim.hidden
    if dim.normed_heads:
        wide += (1 if numbers.lora else 2) * (dim.attention + dim.kv_heads * dim.head_width)
    # Under autocast each product casts its input for itself: q, k, v; gate, up.
    inputs = 5 if numbers.autocast else 2
    narrow = inputs * dim.hidden + 4 * dim.attention + 4 * dim.intermediate
    return WIDE * wide + numbers.narrow * narrow


def _gpt2(dim: Dimensions, numbers: Numbers) -> float:
    """Normalised before attention and before an MLP with a GELU of elementary operations."""
    wide = 2 * dim.hidden + (2 * dim.hidden if dim.dropout and not numbers.fused_attention else 0)
    narrow = (6 if not dim.dropout else 8) * dim.hidden + 5 * dim.intermediate
    return WIDE * wide + numbers.narrow * narrow


def _encoder(dim: Dimensions, numbers: Numbers) -> float:
    """Normalised after attention and after the MLP."""
    wide = 2 * dim.hidden + (2 * dim.hidden if dim.dropout and not numbers.autocast else 0)
    inputs = 5 if numbers.autocast else 3
    narrow = (inputs + 3 + (2 if dim.dropout and numbers.autocast else 0)) * dim.hidden + 2 * dim.intermediate
    return WIDE * wide + numbers.narrow * narrow


def _adapters(dim: Dimensions, numbers: Numbers) -> float:
    """The low-rank products of seven (gated) or six layers."""
    layers = 7 if dim.kind == "decoder" else 6
    return float(layers * numbers.rank * numbers.narrow)


def _attention_bytes(dim: Dimensions, numbers: Numbers, work: Pass) -> float:
    """The mask as numbers, kept by each block, and the sums of exponentials; probabilities under dropout."""
    sums = WIDE * dim.heads * work.tokens
    if dim.dropout and not numbers.fused_attention:
        return sums + 3 * WIDE * dim.heads * work.squares
    return sums + numbers.narrow * work.squares

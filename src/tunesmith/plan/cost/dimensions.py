"""Depth, widths and vocabulary of a transformer, read from its configuration. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["decoder", "gpt2", "encoder"]

_DECODER = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
_GPT2 = ("n_embd", "n_inner", "n_layer", "n_head")
_ENCODERS = frozenset(("bert", "roberta", "xlm-roberta", "electra", "camembert"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimensions:
    """What formulas for activations and floating-point operations need of a transformer.

    Attributes:
        kind: ``decoder`` normalises before and has gated MLPs (Llama, Qwen, Mistral, SmolLM …); ``gpt2`` and
            ``encoder`` (BERT) have plain ones.
        hidden: width of the residual stream.
        intermediate: width inside an MLP.
        blocks: number of layers.
        heads: attention heads.
        kv_heads: heads of keys and values.
        head_width: of one head.
        vocabulary: rows of the embedding.
        normed_heads: whether queries and keys are normalised (Qwen3).
        dropout: of attention probabilities or of the residual stream, the larger.
    """

    kind: Kind
    hidden: int
    intermediate: int
    blocks: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    normed_heads: bool = False
    dropout: float = 0.0

    @property
    def attention(self) -> int:
        """Width of all heads together."""
        return self.heads * self.head_width


def dimensions_of(config: Mapping[str, Any]) -> Dimensions | None:
    """Read a configuration, as ``config.json`` has it, defaults filled in; None if it is no such model."""
    kind = config.get("model_type")
    if kind in ("gpt2", "gpt_bigcode"):
        return _read(config, _GPT2, "gpt2")
    if kind in _ENCODERS:
        return _read(config, _DECODER, "encoder")
    gated = "num_key_value_heads" in config or "rms_norm_eps" in config
    return _read(config, _DECODER, "decoder") if gated else None


def _read(config: Mapping[str, Any], names: tuple[str, ...], kind: Kind) -> Dimensions | None:
    sizes = [config.get(name) for name in (*names, "vocab_size")]
    if kind == "gpt2" and sizes[1] is None and isinstance(sizes[0], int):
        sizes[1] = 4 * sizes[0]
    numbers = [size for size in sizes if isinstance(size, int) and size > 0]
    if len(numbers) < len(sizes):
        return None
    hidden, intermediate, blocks, heads, vocabulary = numbers
    several = ("attn_pdrop", "resid_pdrop") if kind == "gpt2" else ("attention_probs_dropout_prob",)
    return Dimensions(
        kind=kind,
        hidden=hidden,
        intermediate=intermediate,
        blocks=blocks,
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_width=config.get("head_dim") or hidden // heads,
        vocabulary=vocabulary,
        normed_heads=str(config.get("model_type")).startswith("qwen3"),
        dropout=max(float(config.get(name) or 0.0) for name in (*several, "hidden_dropout_prob")),
    )

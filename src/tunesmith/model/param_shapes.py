"""Names and shapes of the weights of well-known architectures, written down from their configuration alone.

transformers would tell the same from a model on the meta device, for every architecture, but importing it
takes longer than a plan should. A test compares both, name by name. Whatever a configuration says that
is not expected here, ``param_shapes_of`` declines, and the meta device is asked. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.recipe.tasks.spec import TaskSpec

Named = tuple[str, tuple[int, ...]]

_COMMON = frozenset(
    """
    _model_name_or_path _name_or_path architectures attention_dropout bos_token_id
    chunk_size_feed_forward dtype eos_token_id finetuning_task
    hidden_act id2label initializer_range label2id max_position_embeddings model_type num_labels
    pad_token_id pretraining_tp problem_type rms_norm_eps rope_parameters rope_scaling rope_theta
    tie_word_embeddings torch_dtype transformers_version unk_token_id use_cache vocab_size
    """.split()  # noqa: SIM905
)
_SIZES = frozenset(("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"))
_KNOWN = {
    "llama": _COMMON | _SIZES | {"num_key_value_heads", "head_dim", "attention_bias", "mlp_bias"},
    "mistral": _COMMON | _SIZES | {"num_key_value_heads", "head_dim", "sliding_window"},
    "qwen2": _COMMON
    | _SIZES
    | {"num_key_value_heads", "sliding_window", "use_sliding_window"}
    | {"max_window_layers", "layer_types"},
    "qwen3": _COMMON
    | _SIZES
    | {"num_key_value_heads", "head_dim", "attention_bias"}
    | {"sliding_window", "use_sliding_window", "max_window_layers", "layer_types"},
    "gpt2": _COMMON
    | {"n_embd", "n_inner", "n_layer", "n_head", "n_positions", "n_ctx", "attn_pdrop", "embd_pdrop"}
    | {"resid_pdrop", "activation_function", "layer_norm_epsilon", "task_specific_params"}
    | {"summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type"}
    | {"summary_use_proj", "scale_attn_weights"},
    "bert": _COMMON
    | _SIZES
    | {"type_vocab_size", "layer_norm_eps", "hidden_dropout_prob", "attention_probs_dropout_prob"}
    | {"position_embedding_type", "classifier_dropout", "gradient_checkpointing"},
}
_NEEDED = {
    "llama": ("num_attention_heads",),
    "mistral": ("num_key_value_heads", "head_dim"),
    "qwen2": ("num_key_value_heads",),
    "qwen3": ("num_key_value_heads", "head_dim"),
    "gpt2": ("n_embd", "n_layer", "n_head", "n_positions"),
    "bert": ("type_vocab_size", "max_position_embeddings"),
}


def param_shapes_of(config: Mapping[str, Any], task: TaskSpec) -> list[Named] | None:
    """Names and shapes of every parameter, tied ones once, in the model's order.

    Args:
        config: as ``config.json`` or ``model.new`` has it, ``num_labels`` filled in.
        task: whose model it is.

    Returns:
        None if the configuration is none of those that are known here to the last key.
    """
    family = str(config.get("model_type"))
    causal = task.output == "tokens"
    if task.output not in ("tokens", "classes", "number"):  # other heads are not written down here
        return None
    if family not in _KNOWN or not set(config) <= _KNOWN[family] or causal == (family == "bert"):
        return None
    sizes = () if family == "gpt2" else tuple(_SIZES)
    stated = [config.get(name) for name in (*_NEEDED[family], *sizes, "vocab_size")]
    if any(type(value) is not int or value < 1 for value in stated):
        return None
    if family == "bert":
        return (
            list(_bert(config))
            if task.processor == "tokenizer" and config.get("position_embedding_type") in (None, "absolute")
            else None
        )
    return list(_gpt2(config) if family == "gpt2" else _decoder(config, family))


def _decoder(config: Mapping[str, Any], family: str) -> Iterator[Named]:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    heads = config["num_attention_heads"]
    width = config.get("head_dim") or hidden // heads
    queries, keys = heads * width, (config.get("num_key_value_heads") or heads) * width
    bias = family == "qwen2" or bool(config.get("attention_bias"))
    own_output_bias = bool(config.get("attention_bias"))
    yield "model.embed_tokens.weight", (config["vocab_size"], hidden)
    for index in range(config["num_hidden_layers"]):
        block = f"model.layers.{index}"
        for name, rows in (("q_proj", queries), ("k_proj", keys), ("v_proj", keys)):
            yield from _linear(f"{block}.self_attn.{name}", rows, hidden, bias=bias)
        yield from _linear(f"{block}.self_attn.o_proj", hidden, queries, bias=own_output_bias)
        if family == "qwen3":
            yield f"{block}.self_attn.q_norm.weight", (width,)
            yield f"{block}.self_attn.k_norm.weight", (width,)
        mlp_bias = bool(config.get("mlp_bias"))
        for name, rows, columns in (
            ("gate_proj", inner, hidden),
            ("up_proj", inner, hidden),
            ("down_proj", hidden, inner),
        ):
            yield from _linear(f"{block}.mlp.{name}", rows, columns, bias=mlp_bias)
        yield f"{block}.input_layernorm.weight", (hidden,)
        yield f"{block}.post_attention_layernorm.weight", (hidden,)
    yield "model.norm.weight", (hidden,)
    if not config.get("tie_word_embeddings", False):
        yield "lm_head.weight", (config["vocab_size"], hidden)


def _gpt2(config: Mapping[str, Any]) -> Iterator[Named]:
    hidden = config["n_embd"]
    inner = config.get("n_inner") or 4 * hidden
    yield "transformer.wte.weight", (config["vocab_size"], hidden)
    yield "transformer.wpe.weight", (config["n_positions"], hidden)
    for index in range(config["n_layer"]):
        block = f"transformer.h.{index}"
        yield from _norm(f"{block}.ln_1", hidden)
        for name, columns, rows in (("attn.c_attn", hidden, 3 * hidden), ("attn.c_proj", hidden, hidden)):
            yield from _transposed(f"{block}.{name}", columns, rows)
        yield from _norm(f"{block}.ln_2", hidden)
        for name, columns, rows in (("mlp.c_fc", hidden, inner), ("mlp.c_proj", inner, hidden)):
            yield from _transposed(f"{block}.{name}", columns, rows)
    yield from _norm("transformer.ln_f", hidden)
    if not config.get("tie_word_embeddings", True):
        yield "lm_head.weight", (config["vocab_size"], hidden)


def _bert(config: Mapping[str, Any]) -> Iterator[Named]:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    start = "bert.embeddings"
    yield f"{start}.word_embeddings.weight", (config["vocab_size"], hidden)
    yield f"{start}.position_embeddings.weight", (config["max_position_embeddings"], hidden)
    yield f"{start}.token_type_embeddings.weight", (config["type_vocab_size"], hidden)
    yield from _norm(f"{start}.LayerNorm", hidden)
    for index in range(config["num_hidden_layers"]):
        block = f"bert.encoder.layer.{index}"
        for name in ("query", "key", "value"):
            yield from _linear(f"{block}.attention.self.{name}", hidden, hidden, bias=True)
        yield from _linear(f"{block}.attention.output.dense", hidden, hidden, bias=True)
        yield from _norm(f"{block}.attention.output.LayerNorm", hidden)
        yield from _linear(f"{block}.intermediate.dense", inner, hidden, bias=True)
        yield from _linear(f"{block}.output.dense", hidden, inner, bias=True)
        yield from _norm(f"{block}.output.LayerNorm", hidden)
    yield from _linear("bert.pooler.dense", hidden, hidden, bias=True)
    yield from _linear("classifier", config.get("num_labels", 2), hidden, bias=True)


def _linear(name: str, rows: int, columns: int, *, bias: bool) -> Iterator[Named]:
    yield f"{name}.weight", (rows, columns)
    if bias:
        yield f"{name}.bias", (rows,)


def _transposed(name: str, columns: int, rows: int) -> Iterator[Named]:
    yield f"{name}.weight", (columns, rows)
    yield f"{name}.bias", (rows,)


def _norm(name: str, width: int) -> Iterator[Named]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)

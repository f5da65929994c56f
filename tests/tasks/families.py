"""Every language model that transformers has, tiny: sizes, what must be said besides, what cannot be made."""

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from tunesmith.model.attention import attention_of
from tunesmith.model.check.architecture import ENCODERS

WORDS, MLP = 320, 48
DROPOUTS = (
    *("attention_dropout", "attn_pdrop", "resid_pdrop", "embd_pdrop", "dropout", "hidden_dropout"),
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "activation_dropout"),
)
SIZES = {
    "vocab_size": WORDS,
    **dict.fromkeys(("hidden_size", "d_model", "n_embd"), 32),
    **dict.fromkeys(("intermediate_size", "decoder_ffn_dim", "encoder_ffn_dim"), MLP),
    **dict.fromkeys(("num_hidden_layers", "num_layers", "n_layer", "n_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "num_heads", "n_heads"), 4),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_k", "moe_topk"), 2),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 24),
    **dict.fromkeys(("n_group", "topk_group", "first_k_dense_replace"), 1),
    **dict.fromkeys(("max_position_embeddings", "n_positions"), 128),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "qk_head_dim"), 16),
    **dict.fromkeys(("initializer_range", "init_std"), 0.3),  # wide: a stranger's token changes the losses
    **dict.fromkeys(("head_dim", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim"), 8),
    "num_key_value_heads": 2,
    "state_size": 8,
    "sliding_window": 6,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": None,
    **dict.fromkeys(DROPOUTS, 0.0),
}
LATENT = {"num_key_value_heads": 4}
LINEAR = {"layer_types": ["linear_attention", "full_attention"]}
MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1}
SLIDING = {"layer_types": ["sliding_attention", "full_attention"]}
MORE = {
    **dict.fromkeys(
        "deepseek_v2 deepseek_v3 deepseek_v32 axk1 axk2 glm4_moe_lite glm_moe_dsa minicpm3 youtu".split(),  # noqa: SIM905
        LATENT,
    ),
    **dict.fromkeys(("qwen3_5_text", "qwen3_5_moe_text", "qwen3_next"), LINEAR),
    "bailing_hybrid": LINEAR | LATENT,
    "kimi_linear": LINEAR | LATENT,
    "bamba": MAMBA | {"attn_layer_indices": [1]},
    "granitemoehybrid": MAMBA | {"layer_types": ["mamba", "attention"], "shared_intermediate_size": 24},
    "falcon_h1": MAMBA | {"mamba_d_ssm": 64},
    "mamba2": {"num_heads": 8, "head_dim": 8, "n_groups": 1},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "mamba_d_state": 8, "mamba_dt_rank": 4},
    "recurrent_gemma": {"num_hidden_layers": 3},
    "lfm3": {"layer_types": ["conv", "full_attention"]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 6},
    "codegen": {"rotary_dim": 8},
    "gptj": {"rotary_dim": 8},
    "falcon": {"alibi": True},
    "dots1": {"n_shared_experts": 1},
    "zaya": {"num_experts_per_tok": 1},
    "cwm": SLIDING | {"bos_token_id": 1},
    "modernbert-decoder": {"bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2},
    "gemma3n_text": SLIDING
    | {"num_kv_shared_layers": 0, "laurel_rank": 4, "hidden_size_per_layer_input": 8}
    | {"vocab_size_per_layer_input": WORDS, "activation_sparsity_pattern": [0.0, 0.0]},
    "zamba": {"num_hidden_layers": 4, "layer_types": ["mamba", "hybrid", "mamba", "hybrid"]},
    "zamba2": {"num_hidden_layers": 4, "layer_types": ["mamba", "hybrid", "mamba", "hybrid"]}
    | {"hybrid_layer_ids": [1, 3], "mamba_headdim": 8, "n_mamba_heads": 8, "num_mem_blocks": 1},
    "longcat_flash": LATENT | {"ffn_hidden_size": MLP, "expert_ffn_hidden_size": 24},
    "gemma4_text": SLIDING
    | {"global_head_dim": 8, "vocab_size_per_layer_input": WORDS}
    | {"hidden_size_per_layer_input": 8, "num_kv_shared_layers": 0},
    "xlm": {"emb_dim": 32, "n_words": WORDS},
    "xlstm": {"hidden_size": 128},
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
}
FIXED = {
    "falcon": {"head_dim"},
    "xlstm": {"head_dim", "v_head_dim", "qk_head_dim", "num_layers"},
    "gemma4_text": {"head_dim", "num_kv_shared_layers"},
    "dots3_note_text": {"num_attention_heads", "num_key_value_heads", "head_dim"},
    "xlnet": {"max_position_embeddings"},
}
"""Sizes of an architecture that cannot be set."""


SEE_AHEAD = {"cpmant", "xlm", "xlnet"}
"""Found out when they are loaded: nothing in their configuration says so."""
HALVES = (
    *("bart", "bigbird_pegasus", "blenderbot", "blenderbot-small", "marian", "mbart", "mvp", "pegasus"),
    *("plbart", "prophetnet", "whisper", "musicgen", "musicgen_melody"),
)
UNMADE = {
    **dict.fromkeys(
        (
            *("blt", "dots3_note", "emu3", "fuyu", "gemma3", "gemma3n", "gemma4", "gemma4_assistant"),
            *("gemma4_unified", "gemma4_unified_assistant", "git", "got_ocr2", "llama4", "mllama"),
            *("moss_transcribe_diarize", "phi4_multimodal", "qwen3_5", "qwen3_5_moe", "qwen4_exp"),
        ),
        "several models in one, or a helper of another; their text models are here by themselves",
    ),
    **dict.fromkeys(("cohere_compass_text", "dbrx", "qwen4_exp_text"), "its own sizes do not fit each other"),
    "reformer": "refused: it attends by lot",
}


def every_kind() -> list[str]:
    return sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def decoders() -> list[str]:
    """What is trained here: all but what is refused and what cannot be made."""
    return sorted(set(every_kind()) - ENCODERS - SEE_AHEAD - set(HALVES) - set(UNMADE))


def tiny(kind: str):
    """A tiny random model in evaluation mode, without an all-zero weight: zeros hide what they multiply."""
    torch.manual_seed(0)
    settable = set(dir(AutoConfig.for_model(kind))) - FIXED.get(kind, set())
    known = {name: size for name, size in SIZES.items() if name in settable}
    config = AutoConfig.for_model(kind, **{**known, **MORE.get(kind, {})})
    attention = attention_of("sdpa", AutoModelForCausalLM._model_mapping[type(config)], kind)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()
    for weight in model.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight.data, std=0.1)
    return model

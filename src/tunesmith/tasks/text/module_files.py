"""The files by which sentence-transformers opens a folder of transformers as a model of vectors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.errors import UserError
from tunesmith.recipe.tasks.vectors import EmbeddingSettings

_MODULES = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
_POOLING = {"mean": "mean_tokens", "cls": "cls_token", "last": "lasttoken"}
_ALL_POOLING = (
    "cls_token",
    "mean_tokens",
    "max_tokens",
    "mean_sqrt_len_tokens",
    "weightedmean_tokens",
    "lasttoken",
)
LONGEST = 10**6


def module_files(settings: EmbeddingSettings, model: Any, max_length: int) -> Mapping[str, str]:
    """Text of each further file of the model's folder, by its path in it.

    Args:
        settings: of the task.
        model: whose vectors they are.
        max_length: most tokens of a text.
    """
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(_MODULES)
    ]
    chosen = _POOLING[settings.pooling]
    pooling = {
        "word_embedding_dimension": _width(model),
        **{f"pooling_mode_{name}": name == chosen for name in _ALL_POOLING},
        "include_prompt": True,
    }
    length = {"max_seq_length": max_length if max_length < LONGEST else None, "do_lower_case": False}
    prompts = {"query": settings.anchor_prompt, "document": settings.positive_prompt}
    general = {"prompts": prompts, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    named = {
        "modules.json": modules,
        "1_Pooling/config.json": pooling,
        "sentence_bert_config.json": length,
        "config_sentence_transformers.json": general,
    }
    return {name: json.dumps(content, indent=2) + "\n" for name, content in named.items()}


def refuse_larger_sizes(sizes: Sequence[int], model: Any) -> None:
    """Make sure that a model's vectors have as many numbers as are to be learnt.

    Raises:
        UserError: a size is larger.
    """
    width = _width(model)
    for size in sizes:
        if size > width:
            raise UserError(
                f"`task.sizes` has {size}, and this model's vectors have {width} numbers",
                "task.sizes",
                f"name sizes below {width}, such as {width // 2} and {width // 4}",
            )


def _width(model: Any) -> int:
    return int(model.config.get_text_config().hidden_size)

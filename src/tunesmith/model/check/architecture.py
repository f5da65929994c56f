"""Whether an architecture can learn what the task asks of it: refused early, where it cannot."""

from __future__ import annotations

from typing import Any

import torch

from tunesmith.errors import UserError
from tunesmith.recipe.tasks.spec import TaskSpec

ENCODERS = frozenset(
    """
    bert bert-generation big_bird camembert data2vec-text electra ernie megatron-bert reformer rembert
    roberta roberta-prelayernorm roc_bert roformer xlm-roberta xlm-roberta-xl xmod
    """.split()  # noqa: SIM905
)
"""Architectures that are language models only if their configuration says ``is_decoder: true``."""


def refuse_unfit(config: Any, task: TaskSpec) -> None:
    """Look at a configuration.

    Raises:
        UserError: an encoder, or half a model, is to be a language model, or it has a loss that is not
            learnt.
    """
    import transformers

    language = task.output == "tokens"
    if language and config.model_type in ENCODERS and not config.is_decoder:
        raise _sees_ahead(config.model_type, "make it a decoder with `is_decoder: true` in its configuration")
    half = language and getattr(config, "is_encoder_decoder", False)
    if half and type(config) in getattr(transformers, task.auto_model)._model_mapping:
        raise UserError(
            f"this `{config.model_type}` model is an encoder with a decoder, and a language model would be "
            "its decoder alone, which attends to nothing",
            "model",
            "choose a decoder, such as a llama or a gpt2",
        )
    if language and config.model_type == "reformer":
        raise UserError(
            "a `reformer` model draws the tokens that it attends to by lot, so neither losses nor answers "
            "can be repeated",
            "model",
            "choose another decoder, such as a llama or a gpt2",
        )
    if getattr(config.get_text_config(), "output_router_logits", False):
        raise UserError(
            f"the configuration of this `{config.model_type}` model asks for the loss that balances experts "
            "(`output_router_logits: true`), which is not learnt here",
            "model",
            "set `output_router_logits` to false, in `model.new` or in the config.json of a copy of the "
            "model's folder, to learn without it",
        )


def refuse_seeing_ahead(model: Any) -> None:
    """Compare two short texts that differ in their last token: what comes before it must not tell.

    Nothing is drawn by lot and nothing is changed. Only where there are weights to compute with.

    Raises:
        UserError: the model sees what it is to predict.
    """
    words = int(getattr(model.config.get_text_config(), "vocab_size", 0) or 0)
    weights = list(model.parameters())
    if words < 8 or not weights or any(weight.is_meta or not weight.numel() for weight in weights):
        return
    opening = [words // 2, words // 3, words // 4]
    rows = torch.tensor([[*opening, words // 2 - 1], [*opening, words // 3 + 1]])
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            first, second = model(input_ids=rows).logits.float()
    except Exception:  # What it cannot compute, or computes from other inputs, the first step will show.
        return
    finally:
        model.train(training)
    change = (first - second).abs().amax(-1)
    noise = 1e-4 if weights[0].dtype == torch.float32 else 2e-2
    if float(change[:-1].max()) > noise * float(change[-1]):
        raise _sees_ahead(model.config.model_type, "take the task that this model was made for")


def _sees_ahead(kind: str, otherwise: str) -> UserError:
    return UserError(
        f"this `{kind}` model sees the tokens that follow, and with them what it is to predict: it cannot "
        "learn as a language model",
        "model",
        f"choose a decoder, such as a llama or a gpt2; or {otherwise}",
    )

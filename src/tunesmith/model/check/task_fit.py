"""Whether a model can do a task, as far as its configuration tells. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.errors import UserError
from tunesmith.recipe.tasks.spec import TaskSpec
from tunesmith.recipe.tasks.table import TASKS
from tunesmith.suggest import any_of

ENCODERS = frozenset(
    """
    albert bert bert-generation big_bird camembert convbert data2vec-text deberta deberta-v2 distilbert
    electra ernie esm flaubert fnet funnel ibert layoutlm longformer luke megatron-bert mobilebert
    modernbert mpnet mra nomic_bert nystromformer reformer rembert roberta roberta-prelayernorm roc_bert
    roformer squeezebert tapas xlm xlm-roberta xlm-roberta-xl xmod yoso
    """.split()  # noqa: SIM905
)
"""Architectures whose tokens see those behind them, unless their configuration makes decoders of them."""

VISION = frozenset(
    """
    beit bit convnext convnextv2 cvt data2vec-vision deit dinat dinov2 dinov2_with_registers donut-swin
    efficientnet focalnet hgnet_v2 hiera ijepa levit mobilenet_v1 mobilenet_v2 mobilevit mobilevitv2
    poolformer pvt pvt_v2 regnet resnet segformer swiftformer swin swinv2 textnet vit vit_msn
    """.split()  # noqa: SIM905
)
"""Architectures that see images and nothing else."""

DECODERS = frozenset(
    """
    bloom falcon gemma gemma2 gemma3_text gpt2 gpt_bigcode gpt_neo gpt_neox gptj llama mistral mixtral
    olmo olmo2 opt phi phi3 qwen2 qwen2_moe qwen3 qwen3_moe smollm3 stablelm starcoder2
    """.split()  # noqa: SIM905
)
"""Well-known language models: none of them sees an image."""


def refuse_misfit(config: Mapping[str, Any], task: TaskSpec, where: str = "model.source") -> None:
    """Make sure that a model of this kind can learn the task at all.

    Args:
        config: the values of its configuration.
        task: what it is to learn.
        where: the place in the recipe, for messages.

    Raises:
        UserError: an encoder is to predict the next token, or texts and images are mixed up.
    """
    kind = str(config.get("model_type"))
    causal, images = task.output == "tokens", task.processor == "image"
    if causal and kind in ENCODERS and not config.get("is_decoder") and not config.get("causal"):
        raise UserError(
            f"a `{kind}` model is an encoder: each token sees those behind it, so that as `{task.name}` it "
            "would be shown what it is to predict",
            where,
            "choose a decoder, such as Llama, Qwen or GPT-2; or, for labels or numbers, keep the model and "
            f"write {_written(output='classes')} or {_written(output='number')}",
        )
    if images and kind in ENCODERS | DECODERS:
        raise UserError(
            f"a `{kind}` model reads text, and the task is `{task.name}`",
            where,
            "choose a vision model, such as a ResNet or ViT, or a task on text",
        )
    if not images and kind in VISION:
        raise UserError(
            f"a `{kind}` model sees images, and the task is on text",
            where,
            f"choose a text model, or write {_written(processor='image')}",
        )


def _written(*, output: str = "", processor: str = "tokenizer") -> str:
    """The tasks of a kind as a recipe would name them."""
    chosen = [one for one in TASKS.values() if one.processor == processor and output in ("", one.output)]
    return any_of([f"task: {one.name}" for one in chosen])

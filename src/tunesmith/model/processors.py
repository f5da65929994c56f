"""The tokenizer: the model's own, another's, or one trained on the spot."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.errors import UserError
from tunesmith.model.gguf import config_location
from tunesmith.model.light_config import PlainConfig
from tunesmith.model.location import locate, open_location
from tunesmith.recipe.schema.model import Model

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


PLAIN_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
GENERIC = "TokenizersBackend"
SPECIAL = ("<|pad|>", "<|end|>", "<|cls|>", "<|system|>", "<|user|>", "<|assistant|>")
MASK = "<|mask|>"
LONGEST_TEXT = 100_000
"""Characters that a tokenizer is trained on at once."""


def load_tokenizer(
    model: Model,
    texts: Iterable[str],
    *,
    encoder: bool,
    masks: bool = False,
    config: PlainConfig | None = None,
) -> PreTrainedTokenizerBase:
    """The tokenizer of a recipe, with its chat template settled.

    Args:
        model: the recipe's ``model`` section.
        texts: training rows as text; read only if a tokenizer is to be trained.
        encoder: whether sequences open with a token that stands for the whole.
        masks: whether a trained one needs a token that hides another.
        config: of the model, if it is known already; transformers would read it once more.

    Raises:
        UserError: if there is none, or it cannot tell which characters a token stands for.
    """
    spec = model.tokenizer
    if spec is not None and spec.train is not None:
        tokenizer = train_tokenizer(texts, spec.train.vocab_size, encoder=encoder)
        if masks:
            tokenizer.add_special_tokens({"mask_token": MASK})
    else:
        tokenizer = _pretrained(model, (spec and spec.source) or model.source, config)
    if not tokenizer.is_fast:
        raise UserError(
            "the tokenizer is a slow one and cannot tell which characters a token stands for",
            "model.tokenizer",
            "name a fast tokenizer (a folder with tokenizer.json)",
        )
    if model.chat_template:
        tokenizer.chat_template = _template(model.chat_template)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def train_tokenizer(texts: Iterable[str], vocab_size: int, *, encoder: bool) -> PreTrainedTokenizerBase:
    """A byte-level BPE tokenizer (Sennrich et al. 2016, arXiv 1508.07909) with a plain chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=max(vocab_size, 256 + len(SPECIAL)),
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_pieces(texts), trainer)
    if encoder:
        ids = [(token, tokenizer.token_to_id(token)) for token in ("<|cls|>", "<|end|>")]
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<|cls|> $A <|end|>", special_tokens=ids
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", eos_token="<|end|>", cls_token="<|cls|>"
    )
    fast.chat_template = None if encoder else PLAIN_TEMPLATE
    return fast


def _pieces(texts: Iterable[str]) -> Iterator[str]:
    """The texts, long ones in pieces: counting the pairs of one word of millions of letters takes minutes."""
    for text in texts:
        yield from (text[start : start + LONGEST_TEXT] for start in range(0, len(text), LONGEST_TEXT))


def _pretrained(model: Model, source: str | None, config: PlainConfig | None) -> PreTrainedTokenizerBase:
    if source is None:
        raise UserError(
            "a new model needs a tokenizer",
            "model.tokenizer",
            "write `tokenizer: {train: {vocab_size: 1000}}` or `tokenizer: {source: ...}`",
        )
    own = source == model.source
    other = {"revision": None, "sha256": None, "trust_remote_code": False}
    section = model if own else model.model_copy(update=other)
    location = config_location(locate(source, section))
    name = _class_name(location.name)
    if name == GENERIC:  # the class that AutoTokenizer would find; importing that takes longer than all else
        from transformers import TokenizersBackend

        return open_location(location, TokenizersBackend.from_pretrained)
    from transformers import AutoTokenizer

    known = {"config": config} if own and config is not None and name else {}
    return open_location(location, AutoTokenizer.from_pretrained, **known)


def _class_name(folder: str) -> str:
    """What a folder's tokenizer says that it is, whatever the model's configuration; empty if nothing."""
    try:
        said = json.loads((Path(folder) / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ""
    name = said.get("tokenizer_class") if isinstance(said, dict) else None
    return name if isinstance(name, str) else ""


def _template(text: str) -> str | None:
    if text == "none":
        return None
    if "{" in text:
        return text
    path = Path(text)
    if not path.is_file():
        raise UserError(
            f"no chat template at `{path}`", "model.chat_template", "give a path to a file, or Jinja text"
        )
    return path.read_text(encoding="utf-8")


def load_image_processor(model: Model) -> Any:
    """A transformers image processor that works on PIL images, without torchvision."""
    from transformers import AutoImageProcessor, ViTImageProcessor

    if model.source is not None:
        return open_location(locate(model.source, model), AutoImageProcessor.from_pretrained, use_fast=False)
    size = model.image_size
    return ViTImageProcessor(size={"height": size, "width": size})

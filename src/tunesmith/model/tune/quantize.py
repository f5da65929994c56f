"""Frozen weights in 4 or 8 bits, over which adapters learn (QLoRA, arXiv 2305.14314).

4 bits are NF4 with quantised scales (sections 3.1 and 3.2 of the paper): 4.127 bits a weight. 8 bits are a
scale a row (LLM.int8, arXiv 2208.07339). Heads, embeddings and norms keep their type. The library is
bitsandbytes, whose layers compute on processors and on GPUs; it is asked for only where a recipe wants it.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import torch

from tunesmith.errors import UserError
from tunesmith.model.tune.select import is_head

BITS = {"4bit": 4, "8bit": 8}
_WHERE = "model.quantize"


def require_library() -> None:
    """Make sure that the library is there, before anything is loaded.

    Raises:
        UserError: it is not; names the extra that brings it.
    """
    if find_spec("bitsandbytes") is None:
        raise UserError(
            "quantised weights need bitsandbytes, which is not installed",
            _WHERE,
            "pip install 'tunesmith[quantized]', or take `model.quantize` away",
        )


def refuse_sharded(quantize: str | None, zero_stage: int) -> None:
    """Quantised weights stay whole on every process: packed bytes have no rows to shard.

    Raises:
        UserError: the profile shards weights.
    """
    if quantize is not None and zero_stage >= 3:
        raise UserError(
            f"`model.quantize: {quantize}` cannot stand with a profile that shards weights (ZeRO-3, FSDP2)",
            _WHERE,
            "choose one that keeps them whole, such as `node` or `node_zero2`: quantised, they are small",
        )


def quantize_frozen(model: torch.nn.Module, quantize: str, dtype: torch.dtype) -> int:
    """Quantise every linear layer but the heads, in place and layer by layer.

    Args:
        model: on the processor, in ``dtype``.
        quantize: ``4bit`` or ``8bit``.
        dtype: of the arithmetic.

    Returns:
        How many layers were quantised.

    Raises:
        UserError: there is none, or the library cannot do it on this machine.
    """
    output = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    names = [
        name
        for name, module in model.named_modules()
        if type(module) is torch.nn.Linear and not is_head(name) and module is not output
    ]
    if not names:
        raise UserError("this model has no linear layer to quantise", _WHERE, "take `model.quantize` away")
    # For every product of 8 bits it would say that it rounds, which is what it was asked for.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    for name in names:
        layer = model.get_submodule(name)
        try:
            small = _quantized(layer, BITS[quantize], dtype)
        except (RuntimeError, NotImplementedError, AttributeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"bitsandbytes cannot quantise here: {reason}",
                _WHERE,
                "`python -m bitsandbytes` says what it supports here; or take `model.quantize` away",
            ) from error
        model.set_submodule(name, small)
    return len(names)


def _quantized(layer: torch.nn.Linear, bits: int, dtype: torch.dtype) -> torch.nn.Module:
    import bitsandbytes as bnb

    sizes: dict[str, Any] = {
        "input_features": layer.in_features,
        "output_features": layer.out_features,
        "bias": layer.bias is not None,
    }
    if bits == 4:
        form: dict[str, Any] = {"quant_type": "nf4", "compress_statistics": True}
        made = bnb.nn.Linear4bit(**sizes, compute_dtype=dtype, **form, device="meta")
        made.weight = bnb.nn.Params4bit(layer.weight.data, requires_grad=False, **form)
        # On processors with AVX-512 BF16 it would repack the weights in every evaluation, rounding their
        # scales, and compute in bfloat16 whatever was asked for: looking would change what is learnt.
        made.support_avx512bf16_for_cpu = False
    else:
        made = bnb.nn.Linear8bitLt(**sizes, has_fp16_weights=False, threshold=6.0, device="meta")
        made.weight = bnb.nn.Int8Params(layer.weight.data, requires_grad=False, has_fp16_weights=False)
    made.bias = layer.bias
    # Moving to a device is what quantises.
    done: torch.nn.Module = made.to("cpu")
    return done


def is_quantized(module: torch.nn.Module) -> bool:
    """Whether a layer holds quantised weights, known without importing the library."""
    return type(module).__module__.startswith("bitsandbytes.") and type(module).__name__ in (
        "Linear4bit",
        "Linear8bitLt",
    )


def has_quantized(model: torch.nn.Module) -> bool:
    """Whether any layer is quantised."""
    return any(is_quantized(module) for module in model.modules())


def refuse_trained(model: torch.nn.Module, names: Iterable[str]) -> None:
    """Quantised weights have no gradient, so modules that learn whole must not be quantised.

    Raises:
        UserError: one of the names is of a quantised layer.
    """
    layers = [name for name, module in model.named_modules() if is_quantized(module)]
    for name in names:
        inside = [layer for layer in layers if f".{name}." in f".{layer}."]
        if inside:
            raise UserError(
                f"`tune.save_modules` names `{name}`, and `{inside[0]}` is quantised and cannot learn",
                "tune.save_modules",
                "let an adapter learn there (`tune.lora.targets`), or take `model.quantize` away",
            )


@contextmanager
def marked_for_peft(model: Any) -> Any:
    """Let peft see what the layers are, for as long as it puts adapters on them.

    The marks are those of transformers, which other libraries take for orders: Accelerate would not spread
    such a model. So they do not stay.
    """
    kinds = {type(module).__name__ for module in model.modules() if is_quantized(module)}
    marks = [mark for kind, mark in _MARKS.items() if kind in kinds]
    for mark in marks:
        setattr(model, mark, True)
    try:
        yield
    finally:
        for mark in marks:
            delattr(model, mark)


_MARKS = {"Linear4bit": "is_loaded_in_4bit", "Linear8bitLt": "is_loaded_in_8bit"}


def true_size(parameter: torch.nn.Parameter) -> int:
    """Number of weights that a parameter stands for; two of 4 bits are packed in one byte."""
    state = getattr(parameter, "quant_state", None)
    shape = getattr(state, "shape", None)
    return int(torch.Size(shape).numel()) if shape is not None else parameter.numel()


def dequantize(model: torch.nn.Module, dtype: torch.dtype) -> None:
    """Make every quantised layer a plain one again, with the values that it computed with."""
    from peft.utils.integrations import dequantize_module_weight

    for name in [name for name, module in model.named_modules() if is_quantized(module)]:
        layer: Any = model.get_submodule(name)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            weight = dequantize_module_weight(layer).to(dtype)
        plain = torch.nn.Linear(layer.in_features, layer.out_features, bias=False, device="meta")
        plain.weight = torch.nn.Parameter(weight.to(layer.weight.device), requires_grad=False)
        plain.bias = layer.bias
        model.set_submodule(name, plain)


def plain_again(model: Any) -> Any:
    """A peft model over quantised weights as one over plain float32 ones, ready to be merged.

    Merging into quantised weights would round the sum to 4 or 8 bits, and with it what was learnt.
    """
    from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    learnt = {name: tensor.cpu() for name, tensor in get_peft_model_state_dict(model).items()}
    config = model.peft_config["default"]
    base = model.unload()
    dequantize(base, torch.float32)
    fresh = get_peft_model(base, config)
    set_peft_model_state_dict(fresh, learnt)
    return fresh

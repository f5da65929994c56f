"""A LoRA linear layer as one step of autograd.

peft computes ``W x + scale * B(A(dropout(x)))`` from separate layers: casts, a scaling and an addition
pass over activations that are as large as the layer's output. Where nothing stands between them (no
dropout, no DoRA, one adapter), the same sum is two matrix products accumulated onto a third, and the
backward pass likewise (Hu et al. 2021, arXiv 2106.09685, equation 3).
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch


class LoraProduct(torch.autograd.Function):
    """``y = x W^T + bias + scale * (x A^T) B^T`` for a frozen W.

    Shapes: x [..., I], W [O, I], A [R, I], B [O, R], y [..., O]. The arithmetic is in W's type (bfloat16):
    wider A, B (float32) and x (float32, where autocast left it so) are cast for the products, and their
    gradients come back in their own type.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        """Three products, the last one accumulated in place."""
        flat = x.reshape(-1, x.shape[-1]).to(weight.dtype)
        down_, up_ = down.to(weight.dtype), up.to(weight.dtype)
        low = flat @ down_.t()
        y = flat @ weight.t() if bias is None else torch.addmm(bias, flat, weight.t())
        y.addmm_(low, up_.t(), alpha=scale)
        ctx.save_for_backward(flat, weight, low, down_, up_)
        ctx.scale, ctx.shape, ctx.types = scale, x.shape, (x.dtype, down.dtype, up.dtype)
        return y.view(*x.shape[:-1], weight.shape[0])

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of x, A and B."""
        flat, weight, low, down, up = ctx.saved_tensors
        grad = grads[0].reshape(-1, weight.shape[0])
        grad_low = (grad @ up).mul_(ctx.scale)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = (grad @ weight).addmm_(grad_low, down).view(ctx.shape).to(ctx.types[0])
        grad_down = (grad_low.t() @ flat).to(ctx.types[1])
        grad_up = (grad.t() @ low).mul_(ctx.scale).to(ctx.types[2])
        return grad_x, None, None, grad_down, grad_up, None


def fuse_lora(model: torch.nn.Module) -> int:
    """Give every plain LoRA linear layer of a peft model the fused product.

    Layers that it does not cover (dropout, DoRA, bias in the adapter, quantised weights) keep peft's own
    forward pass. The parameters stay where they were, so saving and merging do not change.

    Returns:
        How many layers were changed.
    """
    from peft.tuners.lora import Linear

    layers = [module for module in model.modules() if type(module) is Linear and _is_plain(module)]
    for layer in layers:
        layer.forward = MethodType(_fused_forward, layer)
    return len(layers)


def _is_plain(layer: Any) -> bool:
    name = layer.active_adapters[0]
    base = layer.get_base_layer()
    return (
        len(layer.active_adapters) == 1
        and type(base) is torch.nn.Linear
        and not any(parameter.requires_grad for parameter in base.parameters())
        and not layer.fan_in_fan_out
        and not layer.lora_variant
        and isinstance(layer.lora_dropout[name], torch.nn.Identity)
        and layer.lora_A[name].bias is None
        and layer.lora_B[name].bias is None
    )


def _fused_forward(self: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    if self.disable_adapters or self.merged or args or kwargs:
        return type(self).forward(self, x, *args, **kwargs)
    name = self.active_adapters[0]
    base = self.get_base_layer()
    product: torch.Tensor = LoraProduct.apply(
        x, base.weight, base.bias, self.lora_A[name].weight, self.lora_B[name].weight, self.scaling[name]
    )
    return product

"""What Accelerate must be told before it shards a model with FSDP2."""

from __future__ import annotations

from typing import Any

from accelerate import Accelerator

from tunesmith.model.select import block_stack


def settle_fsdp2(accelerator: Accelerator, model: Any) -> None:
    """Shard block by block, unless the profile names other modules.

    Accelerate would shard what the architecture says must not be split, embeddings among it, which it shards
    by itself as well; and it asks for embeddings also where there are none, as in image models.
    """
    plugin = accelerator.state.fsdp_plugin
    if plugin.transformer_cls_names_to_wrap is None:
        sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
        stack = block_stack(sizes)
        blocks = model.get_submodule(stack).children() if stack else ()
        plugin.transformer_cls_names_to_wrap = sorted({type(block).__name__ for block in blocks})
    for name in ("get_input_embeddings", "get_output_embeddings"):
        try:
            getattr(model, name, lambda: None)()
        except NotImplementedError:
            setattr(model, name, lambda: None)

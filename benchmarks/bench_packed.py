"""Packed rows with and without what is computed only once: attention in blocks, an opening that is held.

The demo's model and rows; all ways in turns in one process, so that a machine that is busy for a while
slows all of them. Medians of the ratios of each round to the plain way.

    python benchmarks/bench_packed.py [--rounds 5] [--rows 300] [--dtype bfloat16]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from tunesmith.recipe.tasks.language import CAUSAL_LM

ROOT = Path(__file__).resolve().parents[1]
INSTRUCTION = "Name the kind of the question. " * 40
"""Some 280 tokens that all rows open with, as a system prompt may."""


@dataclass(frozen=True, slots=True)
class Way:
    """How packed rows are computed.

    Attributes:
        blocks: whether attention is cut into blocks.
        share: whether the opening is held for all passes.
    """

    blocks: bool
    share: bool


WAYS = {
    "plain": Way(blocks=False, share=False),
    "in blocks": Way(blocks=True, share=False),
    "opening held": Way(blocks=False, share=True),
    "both": Way(blocks=True, share=True),
}


def prepare(dtype: str, rows: int, instruction: str) -> tuple[Any, Any, list[Any]]:
    """The demo's task, its model with untrained adapters, and encoded rows."""
    import torch

    from tunesmith.data.load import load_rows
    from tunesmith.model.load import Head, load_config, load_model
    from tunesmith.model.processors import load_tokenizer
    from tunesmith.model.tune.apply import apply_tune
    from tunesmith.recipe.load import load_recipe
    from tunesmith.tasks.language.causal_lm import CausalLM

    prompt = f"data.train.prompt={instruction}What kind of question is this? {{question}}"
    recipe = load_recipe(ROOT / "recipes" / "gpt_sft.yaml", [prompt])
    loaded = load_rows(recipe.data, CAUSAL_LM.row_schema, 0)
    task = CausalLM(tokenizer=load_tokenizer(recipe.model, (), encoder=False), max_length=2048)
    head = Head(CAUSAL_LM)
    narrow = getattr(torch, dtype)
    model, fresh = load_model(recipe.model, head, load_config(recipe.model, head), narrow)
    tuned = apply_tune(model, recipe.tune, task=head.task, fresh=fresh, dtype=narrow)
    return task, tuned.model, [task.encode(row) for row in loaded.train[:rows]]


def learn(task: Any, model: Any, batch: Any) -> None:
    """A forward and a backward pass."""
    loss = task.loss(model, batch)
    (loss.total / batch.count).backward()


def compare(work: Callable[[], object], rounds: int, ways: Mapping[str, Way]) -> None:
    """Print how long the work takes each way, and its share of the plain way's time."""
    from tunesmith.tasks.language import causal_lm

    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            without = {} if way.blocks else {"blocks_of": lambda *_: ()}
            without |= {} if way.share else {"can_share": lambda _: False}
            began = time.perf_counter()
            with patch.multiple(causal_lm, **without) if without else nullcontext():
                work()
            if number:  # the first round warms up
                taken[name].append(time.perf_counter() - began)
    for name, seconds in taken.items():
        ratios = [one / plain for one, plain in zip(seconds, taken["plain"], strict=True)]
        print(f"  {name:14}{median(seconds):8.2f} s  {median(ratios):6.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    options = parser.parse_args()
    for words, instruction in (("the demo's rows", ""), ("behind a long instruction", INSTRUCTION)):
        task, model, rows = prepare(options.dtype, options.rows, instruction)
        few = rows if not instruction else rows[: max(2, options.rows // 5)]
        print(f"{words}, {options.dtype}: scoring {len(few)}", flush=True)
        compare(partial(task.score, model.eval(), few, predict=False), options.rounds, WAYS)
    task, model, rows = prepare(options.dtype, options.rows, "")
    apart = {name: way for name, way in WAYS.items() if not way.share}
    for batch in (8, 32):
        print(f"the demo's rows, {options.dtype}: a training pass of {batch}", flush=True)
        compare(partial(learn, task, model.train(), task.collate(rows[:batch])), options.rounds, apart)


if __name__ == "__main__":
    main()

"""What one step does, shown as numbers; the test runs it in one process, and in two as a script.

A model of a few thousand weights, float32, plain gradient descent with a rate of 1: weights before less
weights after are the gradient.
"""

import json
import math
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

from tunesmith.data.row import Row
from tunesmith.metrics.compute import predicts
from tunesmith.model.processors import train_tokenizer
from tunesmith.plan.batch import divide, micro_batches_without
from tunesmith.tasks.language.causal_lm import CausalLM
from tunesmith.train.batches import to_step_batches
from tunesmith.train.engine.learner import Learner
from tunesmith.train.engine.process import Process
from tunesmith.train.engine.wrap import wrap_model
from tunesmith.train.evaluate.score import score, summarise_scores
from tunesmith.train.step import StepResult, train_step
from tunesmith.train.supervise.interrupts import Interrupts
from tunesmith.world.environment import World

ROWS = [
    ("one word", "yes"),
    ("a longer question about many things", "no, and here is why it is so: because"),
    ("short", "a b c d e f g h i j k l m n o p"),
    ("again something", "x"),
    ("and now", "of middling length"),
    ("what is it", "a very long answer, much longer than the others, that goes on and on and on"),
    ("the seventh", "seven"),
    ("the last", "eight is the end of it"),
]

THINNED = (0, 2, 3, 4, 5, 6)
"""Left out of the rows: both that are left fall to the first of two processes, in passes of their own."""


class Poisoned:
    """A task whose loss is not a number, in the processes named."""

    def __init__(self, task: CausalLM, rank: int, ranks: tuple[int, ...]) -> None:
        self._task, self._sick = task, rank in ranks

    def loss(self, model: Any, batch: Any) -> Any:
        found = self._task.loss(model, batch)
        return replace(found, total=found.total * math.nan) if self._sick else found


def task_of(*, packed: bool = False) -> CausalLM:
    tokenizer = train_tokenizer((text for pair in ROWS for text in pair), 300, encoder=False)
    return CausalLM(tokenizer, max_length=128, packed=packed, max_new_tokens=4)


def examples_of(task: CausalLM) -> list[Any]:
    return [
        task.encode(
            Row(f"r{i}", {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]})
        )
        for i, (q, a) in enumerate(ROWS)
    ]


def model_of(task: CausalLM) -> Any:
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=len(task.tokenizer), max_position_embeddings=128, **shape))


def step(
    accelerator: Accelerator,
    micro: int,
    *,
    packed: bool = False,
    poison: tuple[int, ...] = (),
    excluded: tuple[int, ...] = (),
    **options: Any,
) -> tuple[StepResult, dict[str, torch.Tensor]]:
    """One step on all rows; the result, and what was taken from each weight."""
    task = task_of(packed=packed)
    examples, model = examples_of(task), model_of(task)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=123.0)
    engine = wrap_model(accelerator, model, optimizer, clip=None, dtype=torch.float32)
    poisoned: Any = Poisoned(task, accelerator.process_index, poison)
    learner = Learner(engine=engine, model=model, task=poisoned, dtype=torch.float32)
    division = divide(8, micro, accelerator.num_processes, typical_tokens=30)
    lengths = [example["length"] for example in examples]
    hands = micro_batches_without(range(8), lengths, division, accelerator.process_index, excluded)
    settings: dict[str, Any] = {"learning_rate": 1.0, "clip": None, "asked": Interrupts()}
    result = train_step(
        Process(accelerator, World(), 1, "no"),
        learner,
        to_step_batches(hands, [task.collate([examples[i] for i in hand.samples]) for hand in hands]),
        **{"clock": lambda: 10.0 + accelerator.process_index, **settings, **options},
    )
    assert all(parameter.grad is None for parameter in model.parameters())
    return result, {name: before[name] - value.detach() for name, value in model.named_parameters()}


def measured(accelerator: Accelerator) -> dict[str, Any]:
    """An evaluation of a model that dropout and batch normalisation would disturb."""
    task = task_of()
    examples, model = examples_of(task)[:7], model_of(task)
    model.stray = torch.nn.BatchNorm1d(3)
    model.stray.running_mean += accelerator.process_index
    model.train()
    model.lm_head.eval()
    metrics = ("perplexity", "token_accuracy", "exact_match", "chrf")
    engine: Any = SimpleNamespace(stage=0)
    learner = Learner(engine=engine, model=model, task=task, dtype=torch.float32)
    scored = score(Process(accelerator, World(), 1, "no"), learner, examples, predict=predicts(metrics))
    values, intervals = summarise_scores(scored, metrics)
    return {
        "metrics": values,
        "intervals": {name: list(ends) for name, ends in intervals.items()},
        "examples": len(scored),
        "ids": [one.id for one in scored],
        "modes": [model.training, model.lm_head.training, model.model.layers[0].training],
        "mean": model.stray.running_mean.tolist(),
    }


def main(folder: Path) -> None:
    """Everything that two processes are compared by, written by each."""
    from tunesmith.recipe.schema.run import Run
    from tunesmith.train.engine.process import from_main, join_processes

    accelerator = join_processes(Run(dir="x", threads=1)).accelerator
    rank = accelerator.process_index
    facts: dict[str, Any] = {"processes": accelerator.num_processes}
    for name, options in {
        "plain": {"micro": 2},
        "packed": {"micro": 4, "packed": True},
        "poisoned": {"micro": 2, "poison": (1,)},
        "thinned": {"micro": 1, "excluded": THINNED},
        "thinned-packed": {"micro": 4, "packed": True, "excluded": THINNED},
        "nothing": {"micro": 2, "excluded": tuple(range(8))},
        "asked": {"micro": 1, "asked": Interrupts(leave=rank == 1)},
    }.items():
        result, gradient = step(accelerator, **options)
        save_file(
            {key: value.contiguous() for key, value in gradient.items()},
            folder / f"{name}-{rank}.safetensors",
        )
        facts[name] = asdict(result)
    facts["measured"] = measured(accelerator)
    facts["from_main"] = from_main(accelerator, {"rank": rank})
    (folder / f"facts-{rank}.json").write_text(json.dumps(facts))


if __name__ == "script":
    main(Path(sys.argv[1]))

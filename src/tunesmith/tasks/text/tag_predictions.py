"""What a model says of each word of a text, and what a table of words says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F

from tunesmith.data.passes import split_passes, tokens_per_pass
from tunesmith.tasks.task import Example
from tunesmith.tasks.text.encoder_inputs import without_cache
from tunesmith.tasks.text.windows import words_in

Baselines = Mapping[str, Mapping[str, float]]
"""What needs no model, by name, and its metrics."""


@dataclass(slots=True)
class TaggedText:
    """A text with what a model says of it.

    Attributes:
        loss: in nats, summed over the words that are read.
        tags: word -> number of the most likely tag.
    """

    loss: float = 0.0
    tags: dict[int, int] = field(default_factory=dict)

    def in_words(self, labels: Sequence[str], words: int) -> list[str]:
        """A tag for every word; one that no token begins has that of the word before it."""
        said: list[str] = []
        for word in range(words):
            known: Mapping[int, int] = self.tags
            said.append(labels[known[word]] if word in known else said[-1] if said else labels[0])
        return said


@torch.no_grad()
def predict_tags(task: Any, model: Any, examples: Sequence[Example]) -> list[TaggedText]:
    """Loss and most likely tag of each word, in passes of similar and bounded length."""
    lengths = [example["length"] for example in examples]
    found = [TaggedText() for _ in examples]
    for chosen in split_passes(lengths, rows=task.batch_size, tokens=tokens_per_pass(model.device.type)):
        inputs = dict(task.collate([examples[index] for index in chosen]).to(model.device).inputs)
        labels = inputs.pop("labels")
        logits = model(**inputs, **without_cache(model)).logits.float()
        losses = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none").tolist()
        guesses = logits.argmax(-1).tolist()
        for place, window, word, token in words_in([examples[index] for index in chosen]):
            told = found[chosen[place]]
            told.loss += losses[window][token]
            told.tags[word] = guesses[window][token]
    return found


def tag_baselines(train: Sequence[Example], held_out: Sequence[Example]) -> Baselines:
    """The share of words for which the commonest tag of all is right, and the commonest of each word."""
    tables: dict[str, Counter[str]] = {}
    for word, tag in _tagged(train):
        tables.setdefault(word, Counter())[tag] += 1
    common = sum(tables.values(), Counter()).most_common(1)[0][0]
    usual = {word: tags.most_common(1)[0][0] for word, tags in tables.items()}
    pairs = list(_tagged(held_out))
    always = sum(tag == common for _, tag in pairs) / len(pairs)
    table = sum(tag == usual.get(word, common) for word, tag in pairs) / len(pairs)
    return {
        f"always {common}": {"token_accuracy": always},
        "each word's commonest tag": {"token_accuracy": table},
    }


def _tagged(examples: Sequence[Example]) -> Iterator[tuple[str, str]]:
    for example in examples:
        yield from zip(example["words"], str(example["reference"]).split(), strict=True)

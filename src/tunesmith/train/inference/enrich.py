"""Before training: what the first weights say of the examples, computed once and kept on the disk."""

from __future__ import annotations

import hashlib
import inspect
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers

from tunesmith.data.encode import encoding_fingerprint
from tunesmith.data.encode_cache import read_examples, write_examples
from tunesmith.data.passes import split_passes, tokens_per_pass
from tunesmith.data.row import Row
from tunesmith.fault import fault
from tunesmith.model.digest import base_digest
from tunesmith.prepare.inputs import PreparedInputs
from tunesmith.sources.cache import cache_folder
from tunesmith.sources.lock import locked
from tunesmith.tasks.task import Example, offers
from tunesmith.train.engine.learner import Learner
from tunesmith.train.engine.process import Process, on_main
from tunesmith.train.inference.forward import infer
from tunesmith.train.supervise.heartbeat import all_gather_objects
from tunesmith.world.signals import Leaving

KEPT_AT_ONCE = 4096
"""Examples of one entry of the cache: what a killed run computes again at most."""
Added = Mapping[str, Any]


def enrich(parts: PreparedInputs, process: Process, learner: Learner) -> PreparedInputs:
    """The inputs with all examples enriched by their task; as they are, if it enriches none.

    Args:
        parts: of the run.
        process: this one; processes share the passes, and all have all that they give.
        learner: with the first weights.

    Raises:
        Leaving: in all processes, if one was asked to leave. What is on the disk is not computed again.
    """
    if not offers(learner.task, "enrich"):
        return parts
    started, one = time.monotonic(), _Enricher(parts, process, learner)
    process.pulse.enter("enrich")
    train, held_out = one.enriched(parts.train), parts.held_out
    held_out = replace(
        held_out,
        eval=one.enriched(held_out.eval),
        test=one.enriched(held_out.test),
        sets={name: one.enriched(examples) for name, examples in held_out.sets.items()},
    )
    if process.is_main:
        how = f"{time.monotonic() - started:.1f} s" if one.computed else "from the cache"
        print(
            f"enriched with the first weights: {one.seen:,} examples, {one.computed:,} computed; {how}",
            flush=True,
        )
    return replace(parts, train=train, held_out=held_out)


class _Enricher:
    """Enriches examples, a part at a time, and counts them."""

    def __init__(self, parts: PreparedInputs, process: Process, learner: Learner) -> None:
        self._process, self._learner = process, learner
        self._cache, self._rows = parts.recipe.data.cache, parts.recipe.eval.batch_size
        base = on_main(process.accelerator, partial(base_digest, parts.recipe.model))
        self._fingerprint = _fingerprint(parts, process, learner, base)
        self.seen = self.computed = 0

    def enriched(self, examples: Sequence[Example]) -> list[Example]:
        """The examples with what is added to each."""
        made: list[Example] = []
        for start in range(0, len(examples), KEPT_AT_ONCE):
            some = examples[start : start + KEPT_AT_ONCE]
            made += [{**old, **new} for old, new in zip(some, self._kept_or_made(some), strict=True)]
        self.seen += len(made)
        return made

    def _kept_or_made(self, examples: Sequence[Example]) -> Sequence[Added]:
        rows = [Row(example["id"], example) for example in examples]
        folder = cache_folder() / "enriched" / encoding_fingerprint(rows, self._fingerprint)
        known = read_examples(folder).examples if self._cache else ()
        if all(all_gather_objects(self._process.accelerator, [bool(known)])):
            return known
        if not self.computed and self._process.is_main:
            print("one pass over the examples with the first weights, kept for the next time", flush=True)
        added = self._made(examples)
        self.computed += len(added)
        if self._cache and self._process.world.local_rank == 0:
            with locked(folder.with_suffix(".lock"), "keeping what was made of the same rows"):
                if read_examples(folder).state == "absent":
                    write_examples(folder, added, ())
        return added

    def _made(self, examples: Sequence[Example]) -> list[Added]:
        """What is added to each, every pass made by one process; passes hang on no number of processes."""
        process, learner = self._process, self._learner
        task, model, mesh = learner.task, learner.model, process.mesh
        tokens = tokens_per_pass(process.accelerator.device.type)
        lengths = [task.evaluated_length(example) for example in examples]
        passes = split_passes(lengths, rows=self._rows, tokens=tokens)

        def own() -> list[tuple[int, Added]]:
            made: list[tuple[int, Added]] = []
            for chosen in passes[mesh.dp_rank :: mesh.dp_size]:
                fault("enrich")
                some = [examples[index] for index in chosen]
                new = task.enrich(model, some)
                pairs = zip(some, new, strict=True)
                made += zip(chosen, (_added(old, one) for old, one in pairs), strict=True)
            return made

        found: list[tuple[int, Added] | None]
        try:
            found = [*infer(process, learner, own, partial(task.enrich, model, examples[:1]))]
        except Leaving:
            found = [None]
        together: dict[int, Added] = {}
        for one in all_gather_objects(process.accelerator, found):
            if one is None:
                raise Leaving
            together[one[0]] = one[1]
        return [together[index] for index in range(len(examples))]


def _added(old: Example, new: Example) -> Added:
    return {name: value for name, value in new.items() if name not in old or value is not old[name]}


def _fingerprint(parts: PreparedInputs, process: Process, learner: Learner, base: str) -> str:
    """Text that names all that shapes what is added to examples: weights, arithmetic, passes, code."""
    recipe = parts.recipe
    shaping = {
        "base": base,
        "config": parts.config.to_dict(),
        "recipe": [section.model_dump() for section in (recipe.model, recipe.tune, recipe.task)],
        "seed": recipe.run.seed,
        "rows a pass": recipe.eval.batch_size,
        "arithmetic": [learner.dtype, learner.autocast, process.accelerator.device.type, process.threads],
        "libraries": [torch.__version__, transformers.__version__],
        "code": hashlib.sha256(Path(inspect.getfile(type(learner.task))).read_bytes()).hexdigest(),
        "task": dict(learner.task.fingerprint()),
    }
    return json.dumps(shaping, sort_keys=True, default=str)

"""What one long row costs an evaluation: seconds and memory of scoring 60 short texts, without and with it.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/bench_eval_passes.py [--kind bert|gpt2|llama] [--long 512]

The model is a fresh one of 2 layers and width 768, as its weights do not matter. Each figure comes from a
process of its own: the processor's seconds of ``task.score`` over all rows, and how far the peak of its
memory rose above what the loaded model held.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

WIDTHS = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 2, "num_attention_heads": 12}
NAMES = {"bert": WIDTHS, "llama": WIDTHS, "gpt2": {"n_embd": 768, "n_layer": 2, "n_head": 12}}


def measure(kind: str, lengths: list[int], rows: int) -> str:
    """Seconds and MiB of one evaluation of texts of these lengths, in this process."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    from tunesmith.tasks.text.sequence_classification import SequenceClassification

    torch.set_num_threads(1)
    config = AutoConfig.for_model(
        kind, vocab_size=30522, num_labels=4, pad_token_id=0, bos_token_id=1, eos_token_id=2, **NAMES[kind]
    )
    model = AutoModelForSequenceClassification.from_config(config).eval()
    tokenizer: Any = SimpleNamespace(pad_token_id=0)
    task = SequenceClassification(tokenizer, ("a", "b", "c", "d"), max_length=1024, batch_size=rows)
    examples = [
        {"id": str(i), "input": "", "label": i % 4, "length": n, "input_ids": [5 + i] * n}
        for i, n in enumerate(lengths)
    ]
    task.score(model, [{**examples[0], "input_ids": [5] * 8, "length": 8}], predict=True)
    before = _peak()
    started = time.process_time()
    task.score(model, examples, predict=True)
    return f"{time.process_time() - started:.1f} s, {(_peak() - before) / 1024:.0f} MiB"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Measure both, each in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", default="bert", choices=sorted(NAMES))
    parser.add_argument("--long", type=int, default=512, help="tokens of the long row")
    parser.add_argument("--rows", type=int, default=64, help="`eval.batch_size`")
    parser.add_argument("--lengths", help="in this process: LENGTHxCOUNT,...")
    options = parser.parse_args()
    if options.lengths:
        pairs = [part.split("x") for part in options.lengths.split(",")]
        lengths = [int(length) for length, count in pairs for _ in range(int(count))]
        print(measure(options.kind, lengths, options.rows))
        return
    for name, lengths in (("60 of 20", "20x60"), (f"and one of {options.long}", f"20x60,{options.long}x1")):
        command = [sys.executable, __file__, "--kind", options.kind, "--lengths", lengths]
        done = subprocess.run(
            [*command, "--rows", str(options.rows)], capture_output=True, text=True, check=True
        )
        print(f"{options.kind}, {name}: {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()

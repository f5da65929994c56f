"""A run without a model: owns a run directory and writes its journal as training does, at a steady pace.

Usage: writer.py RUN_DIR STEPS SECONDS_A_STEP [RESULT]. With a RESULT (its status) it ends in order; without,
it holds the directory until it is killed.
"""

import json
import sys
import time
from pathlib import Path

from tunesmith.checkpoint.atomic import write_json, write_text
from tunesmith.checkpoint.journal import append_record
from tunesmith.checkpoint.lock import own

RECIPE = """\
task: causal-lm
eval: {every: 10 steps, metrics: [exact_match]}
stop:
- target: {exact_match: 0.9}
- budget: {steps: 200}
run: {dir: runs/written}
"""


def train(step: int) -> dict:
    return {
        "kind": "train",
        "step": step,
        "loss": 3 / step,
        "learning_rate": 1e-3,
        "tokens": 40 * step,
        "seconds": step,
    }


def evaluation(step: int) -> dict:
    value = min(0.95, step / 100)
    verdict = {"decision": "continue", "rule": "", "reason": f"exact_match {value} of 0.9"}
    metrics, intervals = {"loss": 3 / (step + 1), "exact_match": value}, {"exact_match": [value * 0.9, value]}
    counts = {"examples": 50, "seconds": 0.5, "at": step}
    return {
        "kind": "eval",
        "step": step,
        "metrics": metrics,
        "intervals": intervals,
        **counts,
        "verdict": verdict,
    }


def main(run_dir: Path, steps: int, pause: float, status: str = "") -> None:
    with own(run_dir):
        write_text(run_dir / "recipe.yaml", RECIPE)
        journal = run_dir / "metrics.jsonl"
        append_record(journal, evaluation(0))
        print(json.dumps({"began": time.time()}), flush=True)
        for step in range(1, steps + 1):
            time.sleep(pause)
            append_record(journal, train(step))
            print(json.dumps({"step": step, "at": time.time()}), flush=True)
            if step % 10 == 0:
                append_record(journal, evaluation(step))
        while not status:
            time.sleep(0.05)
        stop = {"rule": "target", "reason": "exact_match reached 0.9", "step": steps}
        write_json(
            run_dir / "result.json",
            {"status": status, "stop": stop, "best": {"step": steps, "metrics": {"exact_match": 0.95}}},
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:])

"""Kill runs at random moments with SIGKILL, again and again, and compare what comes out with runs left alone.

    .venv/bin/python benchmarks/soak.py --kills 200

Each round takes a configuration and a seed, runs it once without a disturbance, and once more with a
SIGKILL after a random time, to one process or to all, started again each time with the same command. Both
must be equal: the loss, gradient norm, learning rate and samples of every step, every evaluation, the last
checkpoint and the finished weights, to the last bit. Ends with 1 at the first difference; the folders are
then left for a look.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "train"))

STEPS = 40
MOST_KILLS = 10
USUAL = [
    f"stop=[{{budget: {{steps: {STEPS}}}}}]",
    "data.train.arguments.count=300",
    "eval.every=10",
    "run.save_every=5",
]
DROPOUT = ["model.new.attention_dropout=0.1", "batch.micro=4"]
CONFIGURATIONS: dict[str, tuple[str, list[str], str | int]] = {
    "all layers, dropout, 4 passes a step": ("causal-lm", DROPOUT, 1),
    "LoRA with dropout": ("lora", ["tune.lora.dropout=0.2"], 1),
    "two loader workers": ("causal-lm", [*DROPOUT, "data.workers=2"], 1),
    "running statistics (images)": ("image-classification", [], 1),
    "averages, evidence, spikes": (
        "causal-lm",
        [*DROPOUT, "run.average={ema: 0.9, soup: 3}", "safety.spike=skip"],
        1,
    ),
    "evaluated beside training": ("causal-lm", [*DROPOUT, "eval.mode=async"], 1),
    "two processes": ("causal-lm", DROPOUT, 2),
    "LoRA, two processes": ("lora", ["tune.lora.dropout=0.2"], 2),
    "ZeRO-1": ("causal-lm", DROPOUT, "zero 1"),
    "ZeRO-2": ("causal-lm", DROPOUT, "zero 2"),
    "ZeRO-3": ("causal-lm", DROPOUT, "zero 3"),
    "FSDP2": ("causal-lm", DROPOUT, "fsdp2"),
}
"""Name to task or ``lora``, overrides, and the number of processes or the engine."""


def launch_options(where: str | int) -> dict[str, Any]:
    if isinstance(where, int):
        return {"processes": where}
    from test_sharded import options

    return options(where)


def make_lora(launcher: Any, folder: Path) -> Path:
    from conftest import LORA, SMOKE

    launcher.run("causal-lm", *USUAL, f"run.dir={folder / 'base'}")
    recipe = folder / "lora.yaml"
    recipe.write_text(LORA.replace("MODEL", str(folder / "base" / "model")))
    shutil.copy(SMOKE / "rows.py", folder / "more_rows.py")
    return recipe


def outcome(run_dir: Path) -> dict[str, Any]:
    """Everything that two equal runs have in common; no times."""
    from hashlib import sha256

    clocked = ("seconds", "device_seconds", "memory_bytes")
    records = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    steps = [{k: v for k, v in r.items() if k not in clocked} for r in records if r["kind"] == "train"]
    looks = [(r["step"], r["metrics"]) for r in records if r["kind"] == "eval"]
    newest = max((run_dir / "checkpoints").iterdir())
    files = json.loads((newest / "manifest.json").read_text())["files"]
    weights = [
        sha256(path.read_bytes()).hexdigest() for path in sorted((run_dir / "model").glob("*.safetensors"))
    ]
    return {
        "steps": steps,
        "looks": looks,
        "checkpoint": {name: entry["sha256"] for name, entry in files.items() if name != "state.json"},
        "weights": weights,
        "best": json.loads((run_dir / "result.json").read_text())["best"],
    }


def end(launched: Any) -> None:
    """Wait for the processes; as a launcher does, end those that outlive a peer by 20 seconds."""
    deadline = time.monotonic() + 20
    while not launched.ended() and time.monotonic() < deadline:
        time.sleep(0.02)
    for process in launched.processes:
        if process.status is None:
            process.signal(signal.SIGKILL)
        process.wait()


def one_round(
    launcher: Any, recipe: str | Path, arguments: list[str], where: str | int, folder: Path, rng: Any
) -> int:
    """One control and one run that is killed; the number of kills."""
    seed = f"run.seed={rng.randrange(1000)}"
    began = time.monotonic()
    launcher.run(recipe, *USUAL, *arguments, seed, f"run.dir={folder / 'control'}", **launch_options(where))
    whole, kills = time.monotonic() - began, 0
    while True:
        launched = launcher.start(
            recipe, *USUAL, *arguments, seed, f"run.dir={folder / 'killed'}", **launch_options(where)
        )
        deadline = time.monotonic() + (rng.uniform(0.1, 0.8) * whole if kills < MOST_KILLS else 600.0)
        while time.monotonic() < deadline and not launched.ended():
            time.sleep(0.005)
        if launched.ended():
            break
        doomed = launched.processes if rng.random() < 0.5 else [rng.choice(launched.processes)]
        for process in doomed:
            try:
                process.signal(signal.SIGKILL)
            except ProcessLookupError:
                continue
        kills += 1
        end(launched)
    assert launched.wait() == 0, launched.err
    ours, theirs = outcome(folder / "killed"), outcome(folder / "control")
    different = [name for name, value in ours.items() if value != theirs[name]]
    if different:
        raise SystemExit(f"different after {kills} kills: {', '.join(different)}; see {folder}")
    return kills


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200, help="stop after so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="configurations whose name has this in it")
    options = parser.parse_args()
    from conftest import Launcher, start_server

    os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    server = start_server(folder)
    launcher = Launcher(server, folder)
    rng, killed, runs = random.Random(options.seed), Counter[str](), Counter[str]()
    lora = make_lora(launcher, folder)
    chosen = {name: each for name, each in CONFIGURATIONS.items() if (options.only or "") in name}
    while sum(killed.values()) < options.kills:
        for name, (task, arguments, where) in chosen.items():
            place = folder / f"{sum(runs.values())}"
            recipe = lora if task == "lora" else task
            killed[name] += one_round(launcher, recipe, arguments, where, place, rng)
            runs[name] += 1
            shutil.rmtree(place, ignore_errors=True)
            print(
                f"{name}: {killed[name]} kills in {runs[name]} runs, all equal", file=sys.stderr, flush=True
            )
            if sum(killed.values()) >= options.kills:
                break
    assert server.stdin is not None
    server.stdin.close()
    shutil.rmtree(folder)
    print("| configuration | runs | kills | equal |\n|---|---|---|---|")
    for name in chosen:
        print(f"| {name} | {runs[name]} | {killed[name]} | all |")
    print(f"| **together** | {sum(runs.values())} | {sum(killed.values())} | all |")


if __name__ == "__main__":
    main()

"""A step that is too large for the memory there is: smaller passes, or a message that helps."""

import pytest

pytestmark = pytest.mark.slow

SETTINGS = ["stop=[{budget: {steps: 4}}]", "data.train.arguments.count=300", "eval.every=4", "batch.size=64"]
SETTINGS += ["data.eval.holdout=8"]
# The limit on the address space is set once training has begun: the start of a run needs more than a step.
SCRIPT = """\
import resource, sys
import tunesmith, tunesmith.train.run as run
from tunesmith.train import loop

taken, step = 0, loop.train_step

def tight(*arguments, **options):
    global taken
    taken += 1
    if taken == 3:
        pages = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (pages + ROOM, resource.RLIM_INFINITY))
    return step(*arguments, **options)

loop.train_step = tight
sys.argv = RECIPE
tunesmith.main(RECIPE[0])
"""


def tight_run(launcher, folder, *arguments: str, room: int, status: int):
    recipe = [str(launcher.recipe("causal-lm")), *SETTINGS, "run.threads=1", *arguments]
    script = folder / "tight.py"
    script.write_text(SCRIPT.replace("ROOM", str(room)).replace("RECIPE", repr(recipe)))
    return launcher.run(script, status=status)


WIDE = ["model.new.vocab_size=200000"]
# Logits of 64 samples and their gradients take 590 MiB; gradients and an update of the model 150.
ROOM = 240 << 20


def test_smaller_passes_learn_the_same(launcher, read, tmp_path):
    control, run_dir = tmp_path / "control", tmp_path / "run"
    launcher.run("causal-lm", *SETTINGS, *WIDE, "batch.micro=64", f"run.dir={control}")
    done = tight_run(launcher, tmp_path, *WIDE, f"run.dir={run_dir}", room=ROOM, status=0)
    assert "out of memory: from here on" in done.out
    pairs = zip(read.journal(run_dir, "train"), read.journal(control, "train"), strict=True)
    for ours, theirs in pairs:
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-5)
        assert ours["samples"] == theirs["samples"]
    state = read.json(run_dir / "checkpoints" / "step-00000004" / "state.json")
    assert 1 <= state["micro"] < 64


def test_what_the_recipe_fixed_is_not_changed_but_advised_upon(launcher, tmp_path):
    arguments = [*WIDE, "batch.micro=64", f"run.dir={tmp_path}/run"]
    done = tight_run(launcher, tmp_path, *arguments, room=ROOM, status=2)
    assert "step 3 ran out of memory" in done.err
    assert "batch.micro" in done.err
    assert "Traceback" not in done.err

"""What holds for every test: no hub is asked, tiny tensors are not spread over threads, files are shared out.

`make test` runs several workers of pytest-xdist. A file stays with one worker, as do the files that share
something which takes long to make; whatever watches a screen or a clock closely takes turns, too.
"""

import gc
import hashlib
import os
import sys
from pathlib import Path

# Set before anything imports torch or the hub's client. 1 is also what launched runs take for "unsaid",
# so that they share out the cores as they would for a person (see tunesmith/world/threads.py).
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, and nothing about the code. The first draw of a
# fresh clone is slow as well: hypothesis then builds its tables of characters.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# Compiled files are kept of what is collected, whatever the environment says of the rest: to rewrite the
# assertions of all files takes each worker seconds, each time.
KEEPS_NO_BYTECODE, sys.dont_write_bytecode = sys.dont_write_bytecode, False

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for `launched.py`
pytest_plugins = ["launched"]


def _sampled(items, sample: int, each: str = "") -> list:
    """Some cases of a matrix, always the same: one for every value of ``each``, and ``sample`` in all."""
    order = sorted(items, key=lambda item: hashlib.sha256(item.name.encode()).digest())
    first = {str(item.callspec.params[each]): item for item in reversed(order)} if each else {}
    chosen = list(first.values())
    return chosen + [item for item in order if item not in chosen][: max(0, sample - len(chosen))]


def _leave_matrices_to_long(items) -> None:
    """Mark `long` whatever is not in the sample of a test with the mark `matrix`."""
    cases: dict[str, list] = {}
    for item in items:
        if item.get_closest_marker("matrix"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for found in cases.values():
        chosen = _sampled(found, **found[0].get_closest_marker("matrix").kwargs)
        for item in found:
            if item not in chosen:
                item.add_marker(pytest.mark.long)


TOGETHER = {
    "slurm": ("slurm/",),
    "screen": ("infer/test_chat.py", "live/test_watch.py", "report/test_browser.py", "ui/test_browser.py"),
}
"""Files, or beginnings of their paths, that one worker runs one after the other: those of SLURM share a
cluster, which takes long to start; the others watch a screen or a clock closely. By path, since that is all
that the process knows that shares the work out: marks stay in the workers.
"""
LONGEST = (
    "train/test_sharded.py",  # the very first: DeepSpeed compiles for it what SLURM's runs take a copy of
    "slurm/",
    "train/async_eval/test_pending.py",
    "launch/local/test_run.py",
    "endtoend/test_launches.py",
    "launch/local/test_hosts.py",
    "launch/test_machine.py",
    "train/test_resume.py",
    "train/record/test_trackers.py",
    "faults/test_matrix.py",
    "tasks/test_own.py",
    "checkpoint/test_crash_points.py",
    "endtoend/test_fuzz.py",
    "model/test_real_gguf.py",
    "faults/test_watch.py",
    "train/test_judge.py",
)
"""Beginnings of paths, the longest first: begun first, they leave no worker alone at the end."""


def _group(path: str) -> str:
    """What a file's tests stay together with; the file itself, if that is nothing else."""
    return next((name for name, starts in TOGETHER.items() if path.startswith(starts)), path)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items) -> None:
    """Share out: cases of a matrix to `make test` or `make test-long`; what takes longest is put first.

    So no worker waits at the end.
    """
    _leave_matrices_to_long(items)
    if not hasattr(config, "workerinput"):
        return
    slow = {item.path for item in items if item.get_closest_marker("slow")}

    def turn(item) -> tuple[int, bool, bool]:
        path = item.path.relative_to(HERE).as_posix()
        place = next((n for n, start in enumerate(LONGEST) if path.startswith(start)), len(LONGEST))
        return place, item.path not in slow, _group(path) != "screen"

    items.sort(key=turn)


def pytest_collection_finish() -> None:
    """What stands for the whole session is never collected again: that would take a second each time."""
    sys.dont_write_bytecode = KEEPS_NO_BYTECODE
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config) -> int:
    """Half as many again as there are cores: tests that wait for a clock or for SLURM leave one free."""
    cores = len(os.sched_getaffinity(0))
    return cores + cores // 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Groups stay together, and so does every file that is in none."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid.split("::", maxsplit=1)[0].removeprefix("tests/"))

    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def one_number():
    """Makes an engine with a model of one number, whose value can tell the step."""

    def make(accelerator):
        import torch

        from tunesmith.recipe.schema.tune import Optimizer
        from tunesmith.train.engine.optimizer import make_optimizer
        from tunesmith.train.engine.replicated import Replicated

        model = torch.nn.Linear(1, 1, bias=False)
        return Replicated(
            accelerator=accelerator,
            model=model,
            bare=model,
            optimizer=make_optimizer(model, Optimizer(learning_rate=0.1)),
            scaler=None,
            sharded=False,
        )

    return make

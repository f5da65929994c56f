"""What holds for every test: no hub is asked, tiny tensors are not spread over threads, files are shared out.

`make test` runs several workers of pytest-xdist. A file stays with one worker, as do the files that share
something which takes long to make; whatever watches a screen or a clock closely takes turns, too.
"""

import hashlib
import os
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


COSTLY = {
    ("train", "finished"): "finished",
    ("train", "lora_recipe"): "adapters",  # needs finished runs, too: half of the files that do
    ("faults", "launcher"): "faults",
    ("slurm", "cluster"): "slurm",
}
"""Room and a fixture of it that takes long to make, to the group of the files that use it: the last one."""
ORDER = ("adapters", "faults", "finished", "slurm", "screen")
"""Groups in the order in which they begin. DeepSpeed compiles for the first one; SLURM's copies that."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items) -> None:
    """Share out: cases of a matrix to `make test` or `make test-long`, and in a worker files to groups.

    What takes longest is put first, so that no worker waits at the end.
    """
    _leave_matrices_to_long(items)
    if not hasattr(config, "workerinput"):
        return
    here = Path(__file__).parent
    groups, slow = {}, set()
    for item in items:
        room = item.path.relative_to(here).parts[0]
        for (owner, fixture), group in COSTLY.items():
            if room == owner and fixture in item.fixturenames:
                groups[item.path] = group
        if item.get_closest_marker("slow"):
            slow.add(item.path)
    for item in items:
        if item.path in groups:
            item.add_marker(pytest.mark.xdist_group(groups[item.path]))
    items.sort(key=lambda item: (_turn(item.get_closest_marker("xdist_group")), item.path not in slow))


def _turn(group: pytest.Mark | None) -> int:
    return ORDER.index(group.args[0]) if group else len(ORDER)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Groups stay together, and so does every file that is in none."""
    from xdist.scheduler import LoadGroupScheduling

    class ByFile(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return super()._split_scope(nodeid).split("::")[0]

    return ByFile(config, log) if config.getvalue("dist") == "loadgroup" else None


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

"""What holds for every test: no hub is asked, tiny tensors are not spread over threads, files are shared out.

`make test` runs several workers of pytest-xdist. A file stays with one worker, as do the files that share
something which takes long to make; whatever watches a screen or a clock closely takes turns, too.
"""

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

COSTLY = {("train", "finished"): "finished", ("faults", "launcher"): "faults", ("slurm", "cluster"): "slurm"}
"""Room and a fixture of it that takes long to make, to the group of the files that ask for it."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items) -> None:
    """In a worker: mark groups, and put first what takes longest, so that no worker waits at the end."""
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
    items.sort(key=lambda item: (item.get_closest_marker("xdist_group") is None, item.path not in slow))


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

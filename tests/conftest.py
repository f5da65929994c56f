"""What holds for every test: no hub is asked, and tiny tensors are not spread over threads."""

import os

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

"""Trackers beside a run: looked for before it begins, and fed by processes of their own while it goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tunesmith.checkpoint.atomic import make_folder
from tunesmith.checkpoint.run_dir import TRACKERS
from tunesmith.prepare.check.trackers import whole_tracker
from tunesmith.recipe.schema.run import Tracker, TrackerName

PATIENCE = 30.0
"""Seconds that the end of a run waits for its trackers."""
SHORT_PATIENCE = 3.0
"""The same when the run was asked to leave; what is not handed over then is when the run goes on."""


@contextmanager
def tracked(
    trackers: Sequence[TrackerName | Tracker], run_dir: Path, *, main: bool, patience: float = PATIENCE
) -> Iterator[Callable[[], None]]:
    """Have a process for each tracker follow the run; only the run's first process starts any.

    At the end each gets a bounded time to hand over the rest. A run that is killed needs to do nothing:
    the processes see their input end.

    Args:
        trackers: of the recipe.
        run_dir: exists, with ``recipe.yaml`` in it.
        main: whether this is the first process.
        patience: seconds that the end may wait.

    Yields:
        To be called if the run was asked to leave: then the end waits for a few seconds only.
    """

    def hurry() -> None:
        nonlocal patience
        patience = min(patience, SHORT_PATIENCE)

    started = [_start(one, run_dir, patience) for one in map(whole_tracker, trackers)] if main else []
    try:
        yield hurry
    finally:
        for process in started:
            assert process.stdin is not None
            process.stdin.close()
        for process in started:
            try:
                process.wait(patience + 1)  # it gives up by itself before that
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _start(one: Tracker, run_dir: Path, patience: float) -> subprocess.Popen[bytes]:
    folder = run_dir / TRACKERS
    make_folder(folder)
    settings = {"name": one.name, "project": one.project or "tunesmith", "address": one.address}
    return subprocess.Popen(
        # -P: a folder named `wandb` or a file `queue.py` where the run was started is not a package
        [
            sys.executable,
            "-P",
            "-m",
            "tunesmith.live.trackers.process",
            str(run_dir),
            json.dumps({**settings, "patience": patience}),
        ],
        stdin=subprocess.PIPE,
        env=tracker_environment(os.environ, folder.resolve()),
        start_new_session=True,  # an interrupt from the keyboard is the run's; this sees it end
    )


_CALM = {
    "ACCELERATE_USE_CPU": "true",
    "CUDA_VISIBLE_DEVICES": "",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "WANDB_ERROR_REPORTING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "GIT_PYTHON_REFRESH": "quiet",
    "GRADIO_ANALYTICS_ENABLED": "false",
}
_OF_TRAINING = ("ACCELERATE_", "PMI_", "OMPI_", "MV2_", "SLURM_", "TORCHELASTIC_")
_WORLD = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def tracker_environment(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The environment of a process that tracks: alone in its world, on the CPU, telling nobody else.

    What the user has set (``WANDB_MODE=online``, a timeout) stays as it is.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if name not in _WORLD and not name.startswith(_OF_TRAINING)
    }
    forced = {name: _CALM[name] for name in ("ACCELERATE_USE_CPU", "CUDA_VISIBLE_DEVICES")}
    return {**_CALM, "TRACKIO_DIR": str(folder / "trackio"), **kept, **forced}

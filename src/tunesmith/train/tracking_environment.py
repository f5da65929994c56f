"""The environment of a process that hands a run's lines to a tracker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

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


def surroundings(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
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

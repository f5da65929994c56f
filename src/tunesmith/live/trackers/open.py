"""Opening a tracker through Accelerate's class for it, offline and inside the run directory by default."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.live.trackers.values import Values


@dataclass(frozen=True, slots=True)
class OpenTracker:
    """A tracker under way.

    Attributes:
        name: of the tool.
        tool: Accelerate's tracker.
        run: what the tool knows the run by, to be opened again; empty where it needs none.
    """

    name: str
    tool: Any
    run: str

    def log(self, values: Values, step: int) -> None:
        """Hand over the values of one step or one evaluation."""
        if self.name == "mlflow":
            import mlflow

            for key in [key for key, value in values.items() if isinstance(value, str)]:
                mlflow.set_tag(key, values.pop(key))
        self.tool.log(values, step=step)

    def settings(self, settings: Mapping[str, str | float]) -> None:
        """Hand over what the run was made with."""
        if self.name == "tensorboard":
            table = "\n".join(f"    {key}: {value}" for key, value in settings.items())
            self.tool.log({"recipe": table}, step=0)
        elif self.name != "trackio":  # which takes them when it is opened
            self.tool.store_init_configuration(dict(settings))

    def finish(self) -> None:
        """Close it; what it holds is then sent or stored."""
        self.tool.finish()


def open_tracker(
    name: str,
    run_dir: Path,
    *,
    project: str,
    address: str | None,
    run: str,
    settings: Mapping[str, str | float],
) -> OpenTracker:
    """Open a tracker, or open its run again.

    Args:
        name: of the tool.
        run_dir: local files go to ``trackers/`` in it.
        project: project or experiment.
        address: of MLflow's server; ``MLFLOW_TRACKING_URI`` if ``None``, or else a local file.
        run: as ``OpenTracker.run``; empty for a new one.
        settings: what the run is made with.

    Raises:
        Exception: whatever the tool raises.
    """
    from accelerate import PartialState, tracking

    PartialState(cpu=True)  # Accelerate's own log asks it
    folder, title = run_dir / "trackers", run_dir.name
    if name == "tensorboard":
        tool: Any = tracking.TensorBoardTracker("tensorboard", folder)
    elif name == "mlflow":
        tool = _mlflow(tracking, folder, title, project=project, address=address, run=run)
    elif name == "wandb":
        run = run or secrets.token_hex(4)
        said = {"console": "off", "disable_git": True, "disable_code": True, "x_disable_stats": True}
        tool = tracking.WandBTracker(
            project, name=title, id=run, resume="allow", dir=str(folder), settings=said
        )
    else:
        run = run or f"{title}-{secrets.token_hex(2)}"
        tool = tracking.TrackioTracker(
            project, name=run, resume="allow", config=dict(settings), embed=False, auto_log_cpu=False
        )
    tool.start()
    return OpenTracker(name, tool, tool.tracker.info.run_id if name == "mlflow" else run)


def _mlflow(tracking: Any, folder: Path, title: str, *, project: str, address: str | None, run: str) -> Any:
    import mlflow

    here = address is None and "MLFLOW_TRACKING_URI" not in os.environ
    if here:
        mlflow.set_tracking_uri(f"sqlite:///{folder.resolve() / 'mlflow.db'}")
    elif address is not None:
        mlflow.set_tracking_uri(address)
    return tracking.MLflowTracker(
        experiment_name=project,
        logging_dir=(folder / "mlflow").resolve().as_uri() if here else None,
        run_id=run or None,
        run_name=title,
    )

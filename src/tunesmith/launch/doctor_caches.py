"""Whether the caches can be written: of tunesmith, of the hub's client, and of compiled ops."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tunesmith.launch.doctor_disk import nearest_folder
from tunesmith.launch.doctor_finding import Finding
from tunesmith.launch.doctor_needs import Needs
from tunesmith.sources.cache import cache_folder


def check_caches(needs: Needs, environ: Mapping[str, str] = os.environ) -> list[Finding]:
    """One finding for each cache that cannot be written, or one that says that all can."""
    home = Path(environ.get("HOME") or Path.home())
    general = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    hub = environ.get("HF_HUB_CACHE") or Path(environ.get("HF_HOME") or general / "huggingface") / "hub"
    folders = {"TUNESMITH_CACHE": cache_folder(), "HF_HOME": Path(hub)}
    if needs.deepspeed:
        folders["TORCH_EXTENSIONS_DIR"] = Path(
            environ.get("TORCH_EXTENSIONS_DIR") or general / "torch_extensions"
        )
    closed = [_closed(name, folder) for name, folder in folders.items() if not can_write(folder)]
    return closed or [Finding("caches", "ok", f"{', '.join(map(str, folders.values()))} can be written")]


def can_write(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder made; tried, since root passes every question."""
    place = nearest_folder(folder)
    if any(part.exists() and not part.is_dir() for part in (folder, *folder.parents)):
        return False
    trial = place / f".tunesmith-doctor-{os.getpid()}"
    try:
        trial.mkdir()
        trial.rmdir()
    except OSError:
        return False
    return True


def _closed(name: str, folder: Path) -> Finding:
    what = f"the cache {folder} cannot be written"
    return Finding("caches", "problem", what, f"change its permissions, or export {name}=/a/folder/that/can")

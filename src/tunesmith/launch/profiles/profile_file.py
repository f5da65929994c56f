"""A profile's file as it is written: its keys, where they stand, and the DeepSpeed file beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tunesmith.errors import UserError
from tunesmith.suggest import any_of

_OFFLOADS = ("none", "cpu", "nvme")


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """The content of a profile.

    Attributes:
        path: absolute.
        values: as Accelerate reads them.
        lines: 1-based line of each key, of inner keys too.
    """

    path: Path
    values: Mapping[str, Any]
    lines: Mapping[str, int]

    def wrong(self, key: str, what: str, hint: str) -> UserError:
        """A mistake at a key."""
        line = self.lines.get(key)
        return UserError(what, where=f"{self.path}:{line}" if line else str(self.path), hint=hint)

    def text(self, key: str) -> str:
        """A text that must be there; Accelerate writes ``"NO"`` in quotes, and YAML reads NO as false."""
        value = self.values.get(key)
        if value is False and key == "distributed_type":
            raise self.wrong(key, "`distributed_type: NO` without quotes is false", 'write `"NO"`')
        if not isinstance(value, str):
            raise self.wrong(
                key, f"`{key}` is missing or no text", f"say `{key}`, as the shipped profiles do"
            )
        return value

    def count(self, key: str, default: int) -> int:
        """A whole number from 1."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.wrong(key, f"`{key}: {value}` is no count", "write a whole number from 1")
        return value

    def section(self, key: str) -> Mapping[str, Any]:
        """An inner section, empty if it is not there."""
        value = self.values.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.wrong(key, f"`{key}` must hold keys of its own", "indent them below it")
        return value

    def hides_gpus(self) -> bool:
        """Whether its processes see no GPU: ``use_cpu``, or only numbers that no GPU has (``-1``)."""
        ids = [part.strip() for part in str(self.values.get("gpu_ids") or "all").split(",")]
        return self.values.get("use_cpu") is True or all(part.startswith("-") for part in ids)

    def deepspeed_file(self) -> Path | None:
        """DeepSpeed's JSON, absolute; a relative name is looked for here, then beside and above the profile.

        From the directory above ``launcher/`` these are the same, which is what Accelerate itself needs.

        Raises:
            UserError: it is named and not there.
        """
        named = self.section("deepspeed_config").get("deepspeed_config_file")
        if named is None:
            return None
        folders = [Path.cwd(), self.path.parent, self.path.parent.parent]
        for folder in folders:
            if (folder / str(named)).is_file():
                return (folder / str(named)).resolve()
        raise self.wrong(
            "deepspeed_config_file",
            f"there is no DeepSpeed file `{named}`",
            f"it was looked for in {any_of([str(folder) for folder in folders], 'and')}; correct its name",
        )

    def zero_of_keys(self) -> dict[str, Any]:
        """Stage and offloading from Accelerate's keys; without a stage Accelerate takes 2."""
        section = self.section("deepspeed_config")
        folders = [section.get(f"offload_{what}_nvme_path") for what in ("optimizer", "param")]
        return {
            "zero_stage": self._stage(section.get("zero_stage", 2), "zero_stage"),
            "offload_optimizer": self._offload(section, "offload_optimizer_device"),
            "offload_parameters": self._offload(section, "offload_param_device"),
            "nvme_folder": next((str(folder) for folder in folders if folder), None),
        }

    def zero_of_json(self) -> dict[str, Any]:
        """Stage, offloading and hierarchical partitioning from DeepSpeed's JSON."""
        path = self.deepspeed_file()
        assert path is not None
        other = ProfileFile(path, read_json_file(path), {})
        zero = other.section("zero_optimization")
        optimizer = zero.get("offload_optimizer") or {}
        parameters = zero.get("offload_param") or {}
        within = zero.get("zero_hpz_partition_size", 1)
        folders = [part.get("nvme_path") for part in (optimizer, parameters)]
        return {
            "zero_stage": other._stage(zero.get("stage", 0), "zero_optimization.stage"),
            "offload_optimizer": other._offload(optimizer, "device"),
            "offload_parameters": other._offload(parameters, "device"),
            "nvme_folder": next((str(folder) for folder in folders if folder), None),
            "partition_within": within if isinstance(within, int) and within > 1 else None,
        }

    def _stage(self, value: Any, key: str) -> int:
        if isinstance(value, bool) or value not in (0, 1, 2, 3):
            raise self.wrong(key, f"`{key}: {value}` is no stage of ZeRO", "use 0, 1, 2 or 3")
        return int(value)

    def _offload(self, section: Mapping[str, Any], key: str) -> str:
        value = str(section.get(key) or "none")
        if value not in _OFFLOADS:
            raise self.wrong(key, f"`{key}: {value}` is no place to offload to", f"use {any_of(_OFFLOADS)}")
        return value


def open_profile(path: Path) -> ProfileFile:
    """Read a file as Accelerate would.

    Raises:
        UserError: it cannot be read or is no mapping.
    """
    text = _text_of(path)
    try:
        values, tree = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        problem = str(getattr(error, "problem", None) or "unreadable")
        raise UserError(
            f"this profile is not YAML: {problem}", where, "mend that line, or copy a shipped profile"
        ) from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UserError(
            "a profile holds `key: value` lines", str(path), "start from one that is shipped in `launcher/`"
        )
    return ProfileFile(path, values, _lines(tree))


def read_json_file(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        UserError: the file holds no such thing.
    """
    try:
        value = json.loads(_text_of(path))
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}:{error.colno}"
        raise UserError(f"this DeepSpeed file is not JSON: {error.msg}", where, "mend that place") from None
    if not isinstance(value, dict):
        raise UserError("a DeepSpeed file holds one JSON object", str(path), "write `{…}`")
    return value


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError("this file is no text", str(path), "save it as UTF-8") from None
    except OSError as problem:
        raise UserError(f"cannot read it: {problem.strerror}", str(path), "check its permissions") from None


def _lines(node: yaml.Node | None) -> dict[str, int]:
    if not isinstance(node, yaml.MappingNode):
        return {}
    found: dict[str, int] = {}
    for key, value in node.value:
        found.setdefault(str(key.value), key.start_mark.line + 1)
        for inner, line in _lines(value).items():
            found.setdefault(inner, line)
    return found

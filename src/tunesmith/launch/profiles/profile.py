"""A profile: on what machines a run computes and how it is sharded, read from Accelerate's own format."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from tunesmith.errors import UserError
from tunesmith.launch.profiles.profile_file import ProfileFile, open_profile
from tunesmith.suggest import any_of, nearest

Device = Literal["cpu", "gpu"]
Engine = Literal["single", "ddp", "deepspeed", "fsdp2"]
Offload = Literal["none", "cpu", "nvme"]
Precision = Literal["no", "bf16", "fp16", "fp8"]

_ENGINES: dict[str, Engine] = {
    "NO": "single",
    "MULTI_GPU": "ddp",
    "MULTI_CPU": "ddp",
    "DEEPSPEED": "deepspeed",
    "FSDP": "fsdp2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a profile says, typed.

    Attributes:
        name: the file's name without ``.yaml``.
        path: of the file, absolute.
        processes: on all machines together.
        machines: number of them.
        device: what each process computes on.
        engine: what keeps the processes in step and shards.
        zero_stage: 0 nothing is sharded, 1 optimizer state, 2 gradients too, 3 weights too; FSDP2 is 3.
        offload_optimizer: where optimizer state rests between steps.
        offload_parameters: where weights rest between uses.
        nvme_folder: folder on a local disk for what is offloaded to nvme.
        partition_within: processes that hold a whole copy of the weights among them, for the second
            gathering of a step (ZeRO++'s hierarchical partitioning); None: all together.
        precision: type of the arithmetic; weights that learn stay float32.
        deepspeed_file: DeepSpeed's own JSON, absolute, where the profile names one.
    """

    name: str
    path: Path
    processes: int = 1
    machines: int = 1
    device: Device = "gpu"
    engine: Engine = "single"
    zero_stage: int = 0
    offload_optimizer: Offload = "none"
    offload_parameters: Offload = "none"
    nvme_folder: str | None = None
    partition_within: int | None = None
    precision: Precision = "no"
    deepspeed_file: Path | None = None

    @property
    def processes_per_machine(self) -> int:
        """The same on each machine."""
        return self.processes // self.machines


def read_profile(name_or_path: str | Path) -> Profile:
    """Read a profile: a path, or the name of one in ``./launcher`` or among those that are shipped.

    Raises:
        UserError: there is none of that name, or it cannot be used; names what, where and the way out.
    """
    file = open_profile(profile_path(name_or_path))
    kind = file.text("distributed_type")
    if kind not in _ENGINES:
        raise file.wrong(
            "distributed_type",
            f"`distributed_type: {kind}` is nothing that tunesmith trains with",
            f"use {any_of(list(_ENGINES))}",
        )
    engine = _ENGINES[kind]
    machines, processes = file.count("num_machines", 1), file.count("num_processes", 1)
    if processes % machines:
        raise file.wrong(
            "num_processes",
            f"{processes} processes cannot be shared evenly among {machines} machines",
            "make `num_processes` (the total) a multiple of `num_machines`",
        )
    if engine == "single" and processes > 1:
        raise file.wrong(
            "distributed_type",
            f'`distributed_type: "NO"` starts one process, not `num_processes: {processes}`',
            "write `distributed_type: MULTI_GPU`, which also starts several processes on a processor",
        )
    return Profile(
        name=file.path.stem,
        path=file.path,
        processes=processes,
        machines=machines,
        device="cpu" if file.hides_gpus() else "gpu",
        engine=engine,
        precision=_precision(file),
        **_sharding(file, engine),
    )


def profile_names() -> list[str]:
    """Every profile that has a name here: those in ``./launcher`` and those that are shipped, sorted."""
    return sorted({path.stem for folder in _folders() for path in folder.glob("*.yaml")})


def profile_path(name_or_path: str | Path) -> Path:
    """The file of a profile.

    Raises:
        UserError: there is none; the nearest names are told.
    """
    text = str(name_or_path)
    given = Path(text).expanduser()
    if given.suffix in (".yaml", ".yml", ".json") or given.parent != Path():
        if given.is_file():
            return given.absolute()
        near = nearest(given.stem, profile_names())
        instead = f"write `{near}`, which is shipped" if near else "check the path"
        raise UserError(f"there is no profile `{text}`", hint=instead)
    for folder in _folders():
        if (folder / f"{text}.yaml").is_file():
            return (folder / f"{text}.yaml").absolute()
    names = profile_names()
    near = nearest(text, names)
    guess = f"did you mean `{near}`? " if near else ""
    raise UserError(
        f"there is no profile `{text}`",
        hint=f"{guess}The profiles are {any_of(names, 'and')}; a file of your own is given by its path",
    )


def _folders() -> list[Path]:
    """Where profiles have names: the user's own folder first, then the installed ones or the repository's."""
    installed = Path(str(resources.files("tunesmith"))) / "launcher"
    repository = Path(__file__).resolve().parents[4] / "launcher"
    shipped = installed if installed.is_dir() else repository
    return [folder for folder in (Path("launcher").absolute(), shipped) if folder.is_dir()]


def _precision(file: ProfileFile) -> Precision:
    """What Accelerate would pass as ``--mixed_precision``."""
    known: tuple[Precision, ...] = ("no", "bf16", "fp16", "fp8")
    # Accelerate copies the keys of its inner sections to its own options, and so it may stand in one.
    inner = file.section("mpirun_config").get("mixed_precision")
    value = file.values.get("mixed_precision", inner)
    if value is None:
        return "no"
    for precision in known:
        if value == precision:
            return precision
    hint = 'put it in quotes: `mixed_precision: "no"`' if value is False else f"use {any_of(known)}"
    shown = "no" if value is False else value
    raise file.wrong("mixed_precision", f"`mixed_precision: {shown}` is not known to Accelerate", hint)


def _sharding(file: ProfileFile, engine: Engine) -> dict[str, Any]:
    """The fields of ``Profile`` that say what is sharded and where it rests."""
    if engine == "deepspeed":
        json_path = file.deepspeed_file()
        return {"deepspeed_file": json_path, **(file.zero_of_json() if json_path else file.zero_of_keys())}
    if engine == "fsdp2":
        section = file.section("fsdp_config")
        if section.get("fsdp_version") != 2:
            raise file.wrong(
                "fsdp_config", "tunesmith uses FSDP of version 2 only", "write `fsdp_version: 2` in it"
            )
        offload: Offload = "cpu" if section.get("fsdp_offload_params") is True else "none"
        whole = section.get("fsdp_reshard_after_forward", True)
        return {
            "zero_stage": 3 if whole else 2,
            "offload_optimizer": offload,
            "offload_parameters": offload,
        }
    return {}

"""Profiles as typed facts: what the shipped ones say, how they are found, and what is wrong with others."""

import json
from pathlib import Path

import pytest
import yaml

from tunesmith.errors import UserError
from tunesmith.launch.profiles.profile import profile_names, read_profile

# name: processes, machines, device, engine, stage, optimizer and parameters offloaded to, within, precision
SHIPPED = {
    "cpu": (1, 1, "cpu", "single", 0, "none", "none", None, "no"),
    "cpu_2proc": (2, 1, "cpu", "ddp", 0, "none", "none", None, "no"),
    "cpu_zero2": (2, 1, "cpu", "deepspeed", 2, "none", "none", None, "no"),
    "cpu_zero3": (2, 1, "cpu", "deepspeed", 3, "none", "none", None, "no"),
    "cpu_zero3_offload": (2, 1, "cpu", "deepspeed", 3, "cpu", "cpu", None, "no"),
    "cpu_fsdp2": (2, 1, "cpu", "fsdp2", 3, "none", "none", None, "no"),
    "gpu": (1, 1, "gpu", "single", 0, "none", "none", None, "bf16"),
    "node": (8, 1, "gpu", "ddp", 0, "none", "none", None, "bf16"),
    "node_zero1": (8, 1, "gpu", "deepspeed", 1, "none", "none", None, "bf16"),
    "node_zero2": (8, 1, "gpu", "deepspeed", 2, "none", "none", None, "bf16"),
    "node_zero3": (8, 1, "gpu", "deepspeed", 3, "none", "none", None, "bf16"),
    "node_zero3_offload": (8, 1, "gpu", "deepspeed", 3, "cpu", "cpu", None, "bf16"),
    "node_fsdp2": (8, 1, "gpu", "fsdp2", 3, "none", "none", None, "bf16"),
    "nodes_zero3": (16, 2, "gpu", "deepspeed", 3, "none", "none", None, "bf16"),
    "nodes_zero3_nvme": (16, 2, "gpu", "deepspeed", 3, "nvme", "nvme", None, "bf16"),
    "nodes_hpz": (16, 2, "gpu", "deepspeed", 3, "none", "none", 8, "bf16"),
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_shipped_profile_says_what_its_name_promises() -> None:
    said = {}
    for name in profile_names():
        p = read_profile(name)
        said[name] = (p.processes, p.machines, p.device, p.engine, p.zero_stage)
        said[name] += (p.offload_optimizer, p.offload_parameters, p.partition_within, p.precision)
        assert (p.name, p.path.name) == (name, f"{name}.yaml")
        assert p.path.is_absolute()
    assert said == SHIPPED


def test_the_folder_for_nvme_is_known() -> None:
    assert read_profile("nodes_zero3_nvme").nvme_folder == "/local_nvme"
    assert read_profile("nodes_zero3").nvme_folder is None


def test_the_users_own_folder_comes_first(elsewhere: Path) -> None:
    (elsewhere / "launcher").mkdir()
    mine = {"distributed_type": "MULTI_GPU", "num_processes": 4, "mixed_precision": "fp16"}
    for name in ("node", "mine"):
        (elsewhere / "launcher" / f"{name}.yaml").write_text(yaml.safe_dump(mine))
    assert "mine" in profile_names()
    assert (read_profile("node").processes, read_profile("node").precision) == (4, "fp16")
    assert read_profile("launcher/mine.yaml").name == "mine"
    assert read_profile("gpu").processes == 1


def write(folder: Path, text: str) -> Path:
    path = folder / "p.yaml"
    path.write_text(text)
    return path


DEEPSPEED = "distributed_type: DEEPSPEED\nnum_processes: 2\ndeepspeed_config:\n"


@pytest.mark.parametrize("place", [".", "launcher", "launcher/deepspeed"])
def test_a_deepspeed_file_is_found_beside_or_above_its_profile(place: str, elsewhere: Path) -> None:
    root = elsewhere / "root"
    (root / "launcher/deepspeed").mkdir(parents=True)
    (root / place / "z.json").write_text(json.dumps({"zero_optimization": {"stage": 1}}))
    name = str(Path(place, "z.json").relative_to("launcher")) if "launcher" in place else "z.json"
    path = write(root / "launcher", f"{DEEPSPEED}  deepspeed_config_file: {name}\n")
    profile = read_profile(path)
    assert profile.zero_stage == 1
    assert profile.deepspeed_file == (root / place / "z.json").resolve()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("num_processes: 1\n", ["`distributed_type` is missing"]),
        ("distributed_type: NO\n", ["p.yaml:1", 'write `"NO"`']),
        ("distributed_type: TPU\n", ["p.yaml:1", "`distributed_type: TPU`", "`DEEPSPEED`"]),
        ('distributed_type: "NO"\nnum_processes: 2\n', ["p.yaml:1", "MULTI_GPU"]),
        (
            "distributed_type: MULTI_GPU\nnum_processes: two\n",
            ["p.yaml:2", "`num_processes: two` is no count"],
        ),
        ("distributed_type: MULTI_GPU\nnum_processes: 0\n", ["p.yaml:2", "whole number from 1"]),
        ("distributed_type: MULTI_GPU\nnum_processes: 3\nnum_machines: 2\n", ["p.yaml:2", "multiple"]),
        ('distributed_type: "NO"\nmixed_precision: no\n', ["p.yaml:2", 'mixed_precision: "no"']),
        ('distributed_type: "NO"\nmixed_precision: int3\n', ["p.yaml:2", "`fp8`"]),
        (f"{DEEPSPEED}  zero_stage: 4\n", ["p.yaml:4", "0, 1, 2 or 3"]),
        (f"{DEEPSPEED}  zero_stage: true\n", ["p.yaml:4", "0, 1, 2 or 3"]),
        (f"{DEEPSPEED}  offload_param_device: tape\n", ["p.yaml:4", "`nvme`"]),
        (f"{DEEPSPEED}  deepspeed_config_file: no.json\n", ["p.yaml:4", "no DeepSpeed file `no.json`"]),
        ("distributed_type: FSDP\nnum_processes: 2\n", ["fsdp_version: 2"]),
        ("distributed_type: FSDP\nnum_processes: 2\nfsdp_config: 2\n", ["p.yaml:3", "keys of its own"]),
        ("distributed_type: [\n", ["p.yaml:2", "not YAML"]),
        ("- a\n", ["`key: value` lines"]),
        ("", ["`key: value` lines"]),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, words: list[str], elsewhere: Path) -> None:
    with pytest.raises(UserError) as told:
        read_profile(write(elsewhere, text))
    for word in words:
        assert word in str(told.value)
    assert told.value.hint
    assert "p.yaml" in told.value.where


def test_what_is_wrong_in_the_deepspeed_file_is_said_there(elsewhere: Path) -> None:
    path = write(elsewhere, f"{DEEPSPEED}  deepspeed_config_file: z.json\n")
    for text, word in (
        ("{", "not JSON"),
        ("[]", "one JSON object"),
        ('{"zero_optimization": {"stage": 9}}', "9"),
    ):
        (elsewhere / "z.json").write_text(text)
        with pytest.raises(UserError) as told:
            read_profile(path)
        assert word in told.value.what
        assert "z.json" in told.value.where


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nod_zero3", "`node_zero3`"),
        ("quite another", "`cpu`"),
        ("launcher/nodee.yaml", "`node`"),
        ("x/y", "path"),
    ],
)
def test_a_name_that_is_not_there_gets_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(UserError) as told:
        read_profile(name)
    assert f"no profile `{name}`" in told.value.what
    assert hint in told.value.hint


def test_a_file_that_is_no_text(elsewhere: Path) -> None:
    path = elsewhere / "p.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="no text"):
        read_profile(path)

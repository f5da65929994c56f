"""Manifests: every field is one that the operators know, and what a run needs is there."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.cli.jobs.kubernetes import KubernetesOptions, kubernetes_manifest, read_options
from tunesmith.errors import UserError
from tunesmith.launch.kubernetes.manifest import check_name
from tunesmith.launch.kubernetes.pod import parse_secret

ROOT = Path(__file__).parents[3]
FIELDS = yaml.safe_load((Path(__file__).parents[1] / "data" / "kubeflow_fields.yaml").read_text())
KINDS = ("trainjob", "pytorchjob")
RECIPE = Path("recipes/gpt_sft.yaml")


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch) -> None:
    monkeypatch.chdir(ROOT)


def made(kind: str, on: str = "nodes_zero3", overrides=("batch.size=64",), **options) -> list[dict[str, Any]]:
    text = kubernetes_manifest(
        RECIPE, overrides, on, KubernetesOptions(image="registry.example/tunesmith:1", kind=kind, **options)
    )
    assert "&id" not in text  # each pod is written out
    return list(yaml.safe_load_all(text))


def faults(value: Any, field: Any, path: str) -> list[str]:
    """Where a manifest departs from the fields that the operators know."""
    simple = {"string": str, "integer": int, "boolean": bool, "int-or-string": int | str}
    if isinstance(field, str):
        if field.startswith("one of "):
            return [] if value in field.removeprefix("one of ").split(", ") else [f"{path}: {value}"]
        good = isinstance(value, simple[field]) and (field == "boolean") == isinstance(value, bool)
        return [] if good else [f"{path}: {value!r} is no {field}"]
    if isinstance(field, list):
        if not isinstance(value, list):
            return [f"{path} is no list"]
        return [
            fault for index, each in enumerate(value) for fault in faults(each, field[0], f"{path}.{index}")
        ]
    if not isinstance(value, dict):
        return [f"{path} is no object"]
    name = next((part for part in reversed(path.split(".")) if not part.isdigit()), "")
    found = [f"{path} lacks {key}" for key in FIELDS["required"].get(name, ()) if key not in value]
    for key, each in value.items():
        inner = field.get("any", field.get(key))
        found += [f"{path}.{key} is unknown"] if inner is None else faults(each, inner, f"{path}.{key}")
    return found


def pods(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    spec = objects[0]["spec"]
    if "pytorchReplicaSpecs" in spec:
        return [each["template"]["spec"] for each in spec["pytorchReplicaSpecs"].values()]
    return [job["template"]["spec"]["template"]["spec"] for job in spec["template"]["spec"]["replicatedJobs"]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("on", ["cpu", "gpu", "cpu_2proc", "node", "node_zero3", "nodes_zero3"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"namespace": "ml", "data_claim": "corpus", "secrets": ["HF_TOKEN=hub/token"], "cpus": 8}
        | {"memory": "64Gi", "seconds": 3600, "restarts": 3, "grace": 60},
    ],
)
def test_every_field_is_known_to_the_operator(kind: str, on: str, options: dict) -> None:
    for each in made(kind, on, **options):
        known = FIELDS[each["kind"]]
        assert each["apiVersion"] == known["apiVersion"]
        assert set(each) == {"apiVersion", "kind", "metadata", "spec"}
        assert faults(each["spec"], known["spec"], each["kind"]) == []


def test_the_check_finds_what_is_wrong() -> None:
    (job,) = made("pytorchjob")
    master = job["spec"]["pytorchReplicaSpecs"]["Master"]
    master["replica"] = master.pop("replicas")
    job["spec"]["runPolicy"]["backoffLimit"] = "3"
    del master["template"]["spec"]["containers"][0]["name"]
    found = faults(job["spec"], FIELDS["PyTorchJob"]["spec"], "spec")
    assert len(found) == 3
    assert any("replica is unknown" in each for each in found)
    assert any("containers.0 lacks name" in each for each in found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pod_can_save_before_it_is_killed_and_has_no_rights(kind: str) -> None:
    for pod in pods(made(kind, grace=123)):
        (container,) = pod["containers"]
        # No shell in between: the first process of the container is the one that passes SIGTERM on.
        assert container["command"][:2] == ["tunesmith", "run"]
        assert pod["terminationGracePeriodSeconds"] == 123
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert {"runs", "cache", "shared-memory"} <= set(mounted)
        assert set(mounted) == {volume["name"] for volume in pod["volumes"]}
        assert container["resources"]["limits"] == {"nvidia.com/gpu": 8}
        assert container["name"] == ("pytorch" if kind == "pytorchjob" else "node")


@pytest.mark.parametrize("kind", KINDS)
def test_several_machines_meet_where_the_operator_says(kind: str) -> None:
    objects = made(kind, nodes=4, overrides=["batch.size=64"])
    for pod in pods(objects):
        words = pod["containers"][0]["command"]
        assert (
            words[words.index("--machine") + 1] == "$(PET_NODE_RANK)/4@$(PET_MASTER_ADDR):$(PET_MASTER_PORT)"
        )
    if kind == "trainjob":
        assert objects[1]["spec"]["trainer"] == {"numNodes": 4, "numProcPerNode": 8}
        assert objects[1]["spec"]["runtimeRef"]["name"] == objects[0]["metadata"]["name"]
        job = objects[0]["spec"]["template"]["spec"]
        assert job["failurePolicy"]["maxRestarts"] == 20
    else:
        replicas = {
            role: each["replicas"] for role, each in objects[0]["spec"]["pytorchReplicaSpecs"].items()
        }
        assert replicas == {"Master": 1, "Worker": 3}
        assert objects[0]["spec"]["nprocPerNode"] == "8"


@pytest.mark.parametrize("kind", KINDS)
def test_one_machine_needs_no_meeting(kind: str) -> None:
    (pod,) = pods(made(kind, "gpu"))
    assert "--machine" not in pod["containers"][0]["command"]
    assert "run.dir=/runs/gpt-sft" in pod["containers"][0]["command"]


def test_a_users_mistake_is_not_tried_again() -> None:
    job = made("trainjob")[0]["spec"]["template"]["spec"]
    (rule, _) = job["replicatedJobs"][0]["template"]["spec"]["podFailurePolicy"]["rules"]
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"]["values"] == [2]
    assert job["failurePolicy"]["rules"][0]["action"] == "FailJobSet"


@pytest.mark.parametrize("kind", KINDS)
def test_secrets_stand_by_reference_only(kind: str) -> None:
    for pod in pods(made(kind, secrets=["HF_TOKEN=hub/token"])):
        (entry,) = [each for each in pod["containers"][0]["env"] if each["name"] == "HF_TOKEN"]
        assert entry == {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}


def test_a_value_given_for_a_reference_is_refused_and_not_repeated() -> None:
    value = "hf" + "_" + "a" * 34
    with pytest.raises(UserError) as caught:
        parse_secret(f"HF_TOKEN={value}")
    assert value not in str(caught.value)
    assert "kubectl create secret" in caught.value.hint


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "directory",
    ["/runs/$(HF_TOKEN)", "/runs/$$(HF_TOKEN)", "/runs/$$$(HF_TOKEN)", "a$", "2\nlines: {x", "'\"\\"],
)
def test_an_override_is_never_expanded(kind: str, directory: str) -> None:
    override = f"run.dir={directory}"
    (pod,) = pods(made(kind, "gpu", overrides=[override], secrets=["HF_TOKEN=hub/token"]))
    words = [word for word in pod["containers"][0]["command"] if word.startswith("run.dir")]
    assert [expanded(word, {"HF_TOKEN": "secret"}) for word in words] == [override]


def expanded(word: str, variables: dict[str, str]) -> str:
    """As Kubernetes expands a word: ``$$`` is a dollar sign, ``$(NAME)`` a variable that is there."""

    def put_in(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else variables.get(found[1], found[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", put_in, word)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": None}, "needs an image"),
        ({"kind": "job"}, "--kind job"),
        ({"name": "My_Run"}, "--name my-run"),
        ({"nodes": 3}, "cannot be divided among 24 processes"),
    ],
)
def test_mistakes(change: dict, words: str) -> None:
    options = KubernetesOptions(**({"image": "registry.example/tunesmith:1"} | change))
    with pytest.raises(UserError) as caught:
        kubernetes_manifest(RECIPE, ["batch.size=64"], "nodes_zero3", options)
    assert words in str(caught.value)


def test_a_recipe_outside_the_image() -> None:
    options = KubernetesOptions(image="registry.example/tunesmith:1")
    with pytest.raises(UserError) as caught:
        kubernetes_manifest(ROOT / RECIPE, ["batch.size=64"], "node", options)
    assert "within the image" in caught.value.hint


@given(st.text(max_size=60))
def test_a_name_is_a_label_or_another_is_proposed(name: str) -> None:
    label = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?")
    try:
        check_name(name)
    except UserError as error:
        proposed = re.search(r"--name ([^`]*)`", error.hint)
        assert proposed is not None
        assert label.fullmatch(proposed[1])
        check_name(proposed[1])
    else:
        assert label.fullmatch(name)


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_line(kind: str) -> None:
    words = ["submit", str(RECIPE), "--to", "kubernetes", "--dry-run", "--on", "node_zero3", "--kind", kind]
    words += ["--image", "registry.example/tunesmith:1", "--time", "4h", "--pod", "secret=HF_TOKEN=hub/token"]
    done = subprocess.run(
        [sys.executable, "-c", "from tunesmith.cli.main import run; run()", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    kinds = [each["kind"] for each in yaml.safe_load_all(done.stdout)]
    assert kinds == (["TrainingRuntime", "TrainJob"] if kind == "trainjob" else ["PyTorchJob"])
    assert "activeDeadlineSeconds: 14400" in done.stdout
    assert "secretKeyRef" in done.stdout


def manifest_of_pairs(pairs: list[str], kind: str, on: str) -> str:
    options = read_options(pairs, image="i", kind=kind, nodes=None, cpus=4, time=None)
    return kubernetes_manifest(RECIPE, [], on, options)


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("run-claim=x", "did you mean `runs-claim`?"),
        ("grace=long", "--pod grace=300"),
        ("memory", "The keys are"),
        ("secret=TOKEN=value", "kubectl create secret"),
    ],
)
def test_mistakes_in_what_a_pod_is(pair: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        manifest_of_pairs([pair], "trainjob", "gpu")
    assert words in caught.value.hint


def test_what_a_pod_is_is_read() -> None:
    pairs = ["name=mine", "runs-claim=disk", "grace=60", "restarts=5", "memory=8Gi", "secret=A=b/c"]
    (job,) = yaml.safe_load_all(manifest_of_pairs(pairs, "pytorchjob", "cpu"))
    (pod,) = pods([job])
    assert job["metadata"]["name"] == "mine"
    assert job["spec"]["runPolicy"]["backoffLimit"] == 5
    assert pod["terminationGracePeriodSeconds"] == 60
    assert pod["containers"][0]["resources"]["limits"] == {"cpu": 4, "memory": "8Gi"}
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == "disk"

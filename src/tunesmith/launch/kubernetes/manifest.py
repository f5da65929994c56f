"""Manifests for Kubernetes: a run as Kubeflow's ``TrainJob`` (version 2) or ``PyTorchJob`` (version 1). Pure.

Every pod runs ``tunesmith run --on``, which passes the kubelet's SIGTERM on, so that the run saves and ends
within the grace period. A pod that is gone takes the whole group with it, and the group starts again and
resumes. A mistake of the user's (status 2) is not tried again where the kind of manifest can say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from tunesmith.errors import Exit, UserError
from tunesmith.launch.kubernetes.pod import Secret, container, pod_spec
from tunesmith.launch.profiles.profile import Profile

Kind = Literal["trainjob", "pytorchjob"]
Manifest = dict[str, Any]
_NAME_LENGTH = 40  # pods are named after it, with suffixes, within a label of 63


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesRequest:
    """What to ask of the cluster.

    Attributes:
        name: of the job and of its run directory.
        image: with tunesmith in it, see the Dockerfile.
        recipe: path as the container sees it.
        overrides: of the recipe.
        profile: where it runs; its machines become pods.
        profile_name: as the container finds it: a shipped name, or a path there.
        namespace: None leaves it to kubectl.
        runs: claim of a volume that keeps the run directories, mounted at /runs; several machines need
            one that all of them can write (ReadWriteMany).
        data: claim of a volume with data, mounted at /data, read only; None for none.
        secrets: variables whose values stay in the cluster.
        cpus: of each pod.
        memory: of each pod, as Kubernetes writes it: ``64Gi``.
        gpu_resource: name of a GPU as the cluster's device plugin has it.
        restarts: of the whole group.
        grace: seconds that a run has to save when it is asked to leave.
        deadline: seconds after which the job is ended; None for never.
    """

    name: str
    image: str
    recipe: str
    overrides: Sequence[str] = ()
    profile: Profile
    profile_name: str
    namespace: str | None = None
    runs: str
    data: str | None = None
    secrets: Sequence[Secret] = field(default=())
    cpus: int | None = None
    memory: str | None = None
    gpu_resource: str = "nvidia.com/gpu"
    restarts: int = 20
    grace: int = 300
    deadline: int | None = None


def manifests(wanted: KubernetesRequest, kind: Kind) -> list[Manifest]:
    """The objects to create, in order.

    Raises:
        UserError: the name is none that Kubernetes takes.
    """
    check_name(wanted.name)
    return _train_job(wanted) if kind == "trainjob" else [_pytorch_job(wanted)]


def manifest_text(objects: Sequence[Mapping[str, Any]]) -> str:
    """As YAML, one document an object."""
    return yaml.safe_dump_all(
        [dict(each) for each in objects], sort_keys=False, default_flow_style=False, width=100
    )


def check_name(name: str) -> None:
    """A name must be a DNS label, with room for the suffixes of pods.

    Raises:
        UserError: it is none; another is proposed.
    """
    plain = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in name.lower())
    plain = plain[:_NAME_LENGTH].lstrip("-0123456789").rstrip("-")
    if not plain or plain != name:
        raise UserError(
            f"`{name}` cannot be the name of a job in Kubernetes",
            hint=f"write `--name {plain or 'tunesmith'}`: up to {_NAME_LENGTH} small letters, digits and `-`",
        )


def command(wanted: KubernetesRequest) -> list[str]:
    """What every pod runs; Kubernetes puts in the variables, which the operators set."""
    words = ["tunesmith", "run", _literal(wanted.recipe), "--on", _literal(wanted.profile_name)]
    machines = wanted.profile.machines
    if machines > 1:
        words += ["--machine", f"$(PET_NODE_RANK)/{machines}@$(PET_MASTER_ADDR):$(PET_MASTER_PORT)"]
    directory = (
        []
        if any(each.startswith("run.dir=") for each in wanted.overrides)
        else [f"run.dir=/runs/{wanted.name}"]
    )
    # `$(NAME)` in an override is the user's own text, and `$$` is how Kubernetes writes one `$`.
    return [*words, *map(_literal, wanted.overrides), *directory]


def _literal(word: str) -> str:
    """A word in which Kubernetes puts in no variable: to it ``$$`` is a dollar sign, whatever follows."""
    return word.replace("$", "$$")


def _metadata(wanted: KubernetesRequest) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "tunesmith", "app.kubernetes.io/instance": wanted.name}
    return {
        "name": wanted.name,
        **({"namespace": wanted.namespace} if wanted.namespace else {}),
        "labels": labels,
    }


def _train_job(wanted: KubernetesRequest) -> list[Manifest]:
    """A runtime of the job's own says what a pod is; the job says how many."""
    version = "trainer.kubeflow.org/v1alpha1"
    runtime = {
        "apiVersion": version,
        "kind": "TrainingRuntime",
        "metadata": _metadata(wanted) | {"labels": {"trainer.kubeflow.org/framework": "torch"}},
        "spec": {
            "mlPolicy": {"numNodes": wanted.profile.machines, "torch": {}},
            "template": {"spec": _job_set(wanted)},
        },
    }
    job = {
        "apiVersion": version,
        "kind": "TrainJob",
        "metadata": _metadata(wanted),
        "spec": {
            "runtimeRef": {
                "apiGroup": "trainer.kubeflow.org",
                "kind": "TrainingRuntime",
                "name": wanted.name,
            },
            "trainer": {
                "numNodes": wanted.profile.machines,
                "numProcPerNode": wanted.profile.processes_per_machine,
            },
        },
    }
    return [runtime, job]


def _job_set(wanted: KubernetesRequest) -> dict[str, Any]:
    mistake = {
        "action": "FailJob",
        "onExitCodes": {"containerName": "node", "operator": "In", "values": [int(Exit.USER)]},
    }
    evicted = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    never = {
        "name": "never",
        "action": "FailJobSet",
        "onJobFailureReasons": ["PodFailurePolicy", "DeadlineExceeded"],
    }
    return {
        "failurePolicy": {"maxRestarts": wanted.restarts, "rules": [never]},
        "replicatedJobs": [
            {
                "name": "node",
                "template": {
                    "metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}},
                    "spec": {
                        # No pod is tried again alone: those it computed with are gone as well.
                        "backoffLimit": 0,
                        **({"activeDeadlineSeconds": wanted.deadline} if wanted.deadline else {}),
                        "podFailurePolicy": {"rules": [mistake, evicted]},
                        "template": {"spec": _pod(wanted, "node", restart="Never")},
                    },
                },
            }
        ],
    }


def _pytorch_job(wanted: KubernetesRequest) -> Manifest:
    replicas = {"Master": 1, "Worker": wanted.profile.machines - 1}
    policy: dict[str, Any] = {"cleanPodPolicy": "Running", "backoffLimit": wanted.restarts}
    if wanted.deadline is not None:
        policy["activeDeadlineSeconds"] = wanted.deadline
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": _metadata(wanted),
        "spec": {
            "runPolicy": policy,
            "nprocPerNode": str(wanted.profile.processes_per_machine),
            "pytorchReplicaSpecs": {
                role: _replicas(wanted, count) for role, count in replicas.items() if count
            },
        },
    }


def _replicas(wanted: KubernetesRequest, count: int) -> Manifest:
    # OnFailure and not ExitCode, for which 75 (preempted) would be the end.
    return {
        "replicas": count,
        "restartPolicy": "OnFailure",
        "template": {"spec": _pod(wanted, "pytorch", restart=None)},
    }


def _pod(wanted: KubernetesRequest, name: str, *, restart: str | None) -> dict[str, Any]:
    each = wanted.profile.processes_per_machine
    main = container(
        name,
        wanted.image,
        command(wanted),
        secrets=wanted.secrets,
        gpus={wanted.gpu_resource: each} if wanted.profile.device == "gpu" else {},
        cpus=wanted.cpus,
        memory=wanted.memory,
        data=wanted.data is not None,
    )
    return pod_spec(main, runs=wanted.runs, data=wanted.data, grace=wanted.grace, restart=restart)

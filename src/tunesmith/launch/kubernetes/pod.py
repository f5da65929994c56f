"""One pod of a run: container, volumes, and what it may do. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.errors import UserError

_SECRET = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=([a-z0-9][a-z0-9.-]*)/([\w.-]+)")
_USER = 1000  # as the Dockerfile has it


@dataclass(frozen=True, slots=True)
class Secret:
    """A variable whose value Kubernetes puts in; it stands in no manifest.

    Attributes:
        variable: its name.
        secret: name of the Secret object.
        key: within it.
    """

    variable: str
    secret: str
    key: str


def parse_secret(text: str) -> Secret:
    """Read ``VARIABLE=SECRET/KEY``.

    Raises:
        UserError: it is written otherwise; the text is not repeated, since it may be a secret itself.
    """
    match = _SECRET.fullmatch(text)
    if match is None:
        variable = text.partition("=")[0]
        shown = variable if variable.isidentifier() else "VARIABLE"
        raise UserError(
            f"`--secret {shown}=…` names no Secret object and key",
            hint="`kubectl create secret generic NAME --from-literal=KEY=VALUE`, and then "
            f"`--secret {shown}=NAME/KEY`: values never stand in a manifest",
        )
    return Secret(match[1], match[2], match[3])


def container(
    name: str,
    image: str,
    command: Sequence[str],
    *,
    secrets: Sequence[Secret],
    gpus: Mapping[str, int],
    cpus: int | None,
    memory: str | None,
    data: bool,
) -> dict[str, Any]:
    """The container that trains.

    Args:
        name: as the operator expects it.
        image: with tunesmith in it.
        command: word by word.
        secrets: variables by reference.
        gpus: resource to number.
        cpus: cores, None for no demand.
        memory: with a unit, None for no demand.
        data: whether there is a volume with data.
    """
    values = {"HOME": "/cache", "XDG_CACHE_HOME": "/cache", "HF_HOME": "/cache/huggingface"}
    values |= {"TUNESMITH_CACHE": "/cache/tunesmith", "PYTHONUNBUFFERED": "1"}
    by_name = [{"name": key, "value": value} for key, value in values.items()]
    for each in secrets:
        reference = {"secretKeyRef": {"name": each.secret, "key": each.key}}
        by_name.append({"name": each.variable, "valueFrom": reference})  # type: ignore[dict-item]
    demand: dict[str, Any] = {**({"cpu": cpus} if cpus else {}), **({"memory": memory} if memory else {})}
    mounts: list[dict[str, Any]] = [
        {"name": "runs", "mountPath": "/runs"},
        {"name": "cache", "mountPath": "/cache"},
        {"name": "shared-memory", "mountPath": "/dev/shm"},
    ]
    return {
        "name": name,
        "image": image,
        "command": list(command),
        "env": by_name,
        "resources": {"requests": {**demand, **gpus}, "limits": {**demand, **gpus}},
        "volumeMounts": [
            *mounts,
            *([{"name": "data", "mountPath": "/data", "readOnly": True}] if data else []),
        ],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def pod_spec(
    main: Mapping[str, Any], *, runs: str, data: str | None, grace: int, restart: str | None
) -> dict[str, Any]:
    """The pod around the container.

    Args:
        main: the container.
        runs: claim of the volume with run directories.
        data: claim of the volume with data, if there is one.
        grace: seconds between SIGTERM, at which the run saves, and SIGKILL.
        restart: policy, None where the operator sets it.
    """
    volumes: list[dict[str, Any]] = [
        {"name": "runs", "persistentVolumeClaim": {"claimName": runs}},
        {"name": "cache", "emptyDir": {}},
        # A container gets 64 MB of it otherwise, too little for what processes of one machine exchange.
        {"name": "shared-memory", "emptyDir": {"medium": "Memory"}},
    ]
    if data is not None:
        volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": data, "readOnly": True}})
    return {
        **({"restartPolicy": restart} if restart else {}),
        "terminationGracePeriodSeconds": grace,
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [dict(main)],
        "volumes": volumes,
    }

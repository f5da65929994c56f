"""``tunesmith submit --to kubernetes --dry-run``: the manifest, for `kubectl apply -f -`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.errors import UserError
from tunesmith.launch.command import resized
from tunesmith.launch.kubernetes.manifest import Kind, KubernetesRequest, manifest_text, manifests
from tunesmith.launch.kubernetes.pod import parse_secret
from tunesmith.launch.profiles.profile import read_profile
from tunesmith.launch.slurm.script import read_time
from tunesmith.plan.batch import divide
from tunesmith.recipe.load import load_with_variants
from tunesmith.suggest import any_of, nearest

_TEXTS = ("name", "namespace", "runs-claim", "data-claim", "memory")
_NUMBERS = ("restarts", "grace")


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesOptions:
    """What the command line says of the cluster; see ``launch.kubernetes.Wanted``."""

    image: str | None = None
    kind: str = "trainjob"
    name: str | None = None
    namespace: str | None = None
    runs_claim: str = "tunesmith-runs"
    data_claim: str | None = None
    secrets: Sequence[str] = ()
    cpus: int | None = None
    memory: str | None = None
    nodes: int | None = None
    restarts: int = 20
    grace: int = 300
    seconds: int | None = None


def kubernetes_manifest(recipe: Path, overrides: Sequence[str], on: str, options: KubernetesOptions) -> str:
    """The manifest of a run, checked as far as it can be without a cluster.

    Args:
        recipe: read here for its mistakes; the pods read the one of that path in their image.
        overrides: ``key.path=value``.
        on: profile.
        options: of the command line.

    Raises:
        UserError: a mistake in the recipe, the profile, or an option.
    """
    resolved, several = load_with_variants(recipe, overrides)
    profile = resized(read_profile(on), machines=options.nodes)
    for each in [one for _, one in several] or [resolved]:
        divide(each.batch.size, each.batch.micro, profile.processes, typical_tokens=1.0)
    if options.image is None:
        raise UserError(
            "a pod needs an image with tunesmith in it",
            hint="`docker build -t REGISTRY/tunesmith .` and push it, then add `--image REGISTRY/tunesmith`",
        )
    if recipe.is_absolute() or ".." in recipe.parts:
        raise UserError(
            f"the image has no `{recipe}`",
            hint="give the recipe by its path within the image, such as `recipes/gpt_sft.yaml`, "
            "and build the image with it",
        )
    wanted = KubernetesRequest(
        name=options.name or recipe.stem.replace("_", "-").lower(),
        image=options.image,
        recipe=str(recipe),
        overrides=overrides,
        profile=profile,
        profile_name=on,
        namespace=options.namespace,
        runs=options.runs_claim,
        data=options.data_claim,
        secrets=[parse_secret(text) for text in options.secrets],
        cpus=options.cpus,
        memory=options.memory,
        restarts=options.restarts,
        grace=options.grace,
        deadline=options.seconds,
    )
    return manifest_text(manifests(wanted, _kind(options.kind)))


def read_options(
    pairs: Sequence[str],
    *,
    image: str | None,
    kind: str,
    nodes: int | None,
    cpus: int | None,
    time: str | None,
) -> KubernetesOptions:
    """Options of the command line, with ``KEY=VALUE`` for those that only pods have.

    Raises:
        UserError: a key is not known, or a number is none.
    """
    texts: dict[str, Any] = {}
    secrets = []
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if key not in (*_TEXTS, *_NUMBERS, "secret") or not equals or not value:
            known = any_of([*_TEXTS, *_NUMBERS, "secret"], "and")
            near = nearest(key, [*_TEXTS, *_NUMBERS, "secret"])
            hint = f"{f'did you mean `{near}`? ' if near and near != key else ''}The keys are {known}"
            raise UserError(f"`--pod {key}{equals}…` says nothing of a pod", hint=hint)
        if key in _NUMBERS and not value.isdecimal():
            raise UserError(f"`--pod {pair}` is no number", hint=f"write `--pod {key}=300`")
        if key == "secret":
            secrets.append(value)
        else:
            texts[key.replace("-", "_")] = int(value) if key in _NUMBERS else value
    seconds = read_time(time)[1] if time is not None else None
    return KubernetesOptions(
        image=image, kind=kind, nodes=nodes, cpus=cpus, seconds=seconds, secrets=secrets, **texts
    )


def _kind(text: str) -> Kind:
    known: tuple[Kind, ...] = ("trainjob", "pytorchjob")
    for kind in known:
        if text.lower() == kind:
            return kind
    raise UserError(
        f"`--kind {text}` is no kind of manifest",
        hint="`trainjob` for Kubeflow Trainer 2, `pytorchjob` for the training operator 1",
    )


def print_manifest(
    to: str, recipe: Path, overrides: Sequence[str], on: str, options: KubernetesOptions, *, dry_run: bool
) -> None:
    """Print the manifest of a run; nothing is sent to a cluster.

    Raises:
        UserError: another kind of cluster is asked for, or that it be sent.
    """
    if to != "kubernetes":
        raise UserError(f"`--to {to}` is no kind of cluster", hint="write `--to slurm` or `--to kubernetes`")
    text = kubernetes_manifest(recipe, overrides, on, options)
    if not dry_run:
        raise UserError(
            "nothing is sent to Kubernetes from here",
            hint="add `--dry-run`, which prints the manifest, and give it to `kubectl apply -f -`",
        )
    print(text, end="")

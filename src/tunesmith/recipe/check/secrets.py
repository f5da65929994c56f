"""Secrets written into a recipe: refused, because recipes are copied, committed and put into reports."""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.recipe.finding import Finding
from tunesmith.recipe.yaml.nodes import Node, dotted, key_spot, leaf_nodes
from tunesmith.redact import is_secret_key, is_secret_value

_HINT = "delete it here and set it in the environment, e.g. `export HF_TOKEN=…`; then consider it leaked"


def secret_findings(root: Node) -> Iterator[Finding]:
    """Yield values that look like secrets, and texts under keys that name one."""
    for path, node in leaf_nodes(root):
        shaped = is_secret_value(node.text)
        if shaped or _is_named(path, node.value):
            spot = node.spot if shaped else key_spot(root, path)
            yield Finding(f"`{dotted(path)}` looks like a secret", spot, _HINT, secret=True)
    for path, node in leaf_nodes(root):
        for step in path:
            if isinstance(step, str) and is_secret_value(step):
                yield Finding("a key looks like a secret", node.spot, _HINT, secret=True)


def _is_named(path: tuple[str | int, ...], value: object) -> bool:
    """Whether a key on the way says that the value is a secret; below ``values`` stand words of the data."""
    names = [str(step).rpartition(".")[2] for step in path]
    if "values" in names or value in (None, "") or isinstance(value, bool):
        return False
    if isinstance(value, str):
        return any(is_secret_key(name, value) for name in names)
    return any(is_secret_key(name) for name in names if not name.endswith("token"))  # a token may be a number

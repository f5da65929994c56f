"""Files made to exhaust a reader are refused at once, whole recipes included, not the YAML parser alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.recipe.load import load_recipe


def bomb(levels: int = 9) -> str:
    """300 bytes, 10^9 values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


HOSTILE: dict[str, tuple[Callable[[], str | bytes], str]] = {
    "aliases that multiply": (bomb, "aliases spelt out"),
    "aliases that multiply, merged": (lambda: bomb().replace("[", "{k: [").replace("]", "]}"), "alias"),
    "50 MB of values": (lambda: "a: b\n" * 10_000_000, "a recipe has at most"),
    "50 MB of one text": (lambda: b"a: " + b"x" * 50_000_000, "a recipe has at most"),
    "10,000 deep, lists": (lambda: "[" * 10_000 + "]" * 10_000, "nested more than"),
    "10,000 deep, mappings": (lambda: "{a: " * 10_000 + "}" * 10_000, "nested more than"),
    "10,000 deep, by indent": (lambda: "\n".join(" " * n + "a:" for n in range(1_400)), "nested more than"),
    "10,000 deep, dashes": (lambda: "- " * 10_000 + "x", "nested more than"),
    "a key twice": (lambda: "task: causal-lm\ntask: regression\n", "stands twice, on lines 1 and 2"),
    "a key 10,000 times": (lambda: "task: causal-lm\n" * 5_000, "stands twice"),
    "very many keys": (lambda: "".join(f"k{n}: v\n" for n in range(90_000)), "more than"),
    "many keys, allowed": (lambda: "".join(f"k{n}: v{n}\n" for n in range(5_500)), "unknown key"),
    "a circle of anchors": (lambda: "a: &a [*a]", "stands for nothing"),
    "a long flow of colons": (lambda: "{" + ":" * 300_000, ""),
    "a long quote": (lambda: '"' + "\\\\" * 400_000, ""),
    "an object of Python": (lambda: "!!python/object/apply:os.system [touch canary]", "tag"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    make, word = HOSTILE[name]
    raw = make()
    Path("r.yaml").write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    started = time.process_time()
    with pytest.raises(UserError) as caught:
        load_recipe(Path("r.yaml"))
    assert time.process_time() - started < 3  # less than 1 on a core of its own
    assert word in str(caught.value)
    assert len(str(caught.value)) < 20_000
    assert [path.name for path in tmp_path.iterdir()] == ["r.yaml"]

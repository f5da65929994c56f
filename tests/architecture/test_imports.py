"""Imports go one way, and heavy libraries are imported only where they are used."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

HEAVY = (
    "torch",
    "transformers",
    "datasets",
    "evaluate",
    "pandas",
    "sklearn",
    "deepspeed",
    "accelerate",
    "peft",
)
LIGHT_ROOMS = {"recipe", "judge", "plan", "world", "errors"}
LIGHT_MODULES = {"tunesmith", "tunesmith.sources.address", "tunesmith.cli.main", "tunesmith.metrics.table"}


def tiers(root: Path) -> dict[str, int]:
    """Room to height, from the block in ARCHITECTURE.md that people read: the top line is the highest."""
    block = re.search(
        r"## The import rule.*?```\n(.*?)```", (root / "ARCHITECTURE.md").read_text(), re.DOTALL
    )
    assert block is not None
    lines = block[1].split("\n\n")[0].strip().splitlines()
    return {room: -height for height, line in enumerate(lines) for room in re.findall(r"[a-z]+", line)}


def room_of_import(name: str, rooms: set[str]) -> str | None:
    if name != "tunesmith" and not name.startswith("tunesmith."):
        return None
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in rooms else "cli"


def test_every_room_stands_in_the_rule(modules, root) -> None:
    assert {module.room for module in modules} == set(tiers(root))


def test_nothing_imports_upward_or_sideways(modules, root) -> None:
    height = tiers(root)
    wrong = [
        f"{module.path}:{line}: {module.room} imports {name}"
        for module in modules
        for line, name in module.imports()
        if (room := room_of_import(name, set(height))) is not None
        and room != module.room
        and height[room] >= height[module.room]
    ]
    assert not wrong, "\n".join(wrong)


def test_light_rooms_never_name_torch(modules) -> None:
    wrong = [
        f"{module.path}:{line}"
        for module in modules
        if module.room in LIGHT_ROOMS or module.name in LIGHT_MODULES - {"tunesmith"}
        for line, name in module.imports()
        if name.split(".")[0] == "torch"
    ]
    assert not wrong, "\n".join(wrong)


def test_starting_and_planning_never_import_training(modules) -> None:
    """Help, a plan and a launch take a moment, and what they show is known before a run."""
    wrong = [
        f"{module.path}:{line}: {name}"
        for module in modules
        if module.room in {"launch", "search"} or module.name == "tunesmith.cli.plan"
        for line, name in module.imports()
        if name.startswith("tunesmith.train")
    ]
    assert not wrong, "\n".join(wrong)


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_light_modules_import_nothing_heavy(modules) -> None:
    names = [m.name for m in modules if m.room in LIGHT_ROOMS or m.name in LIGHT_MODULES]
    assert {"tunesmith", "tunesmith.cli.main", "tunesmith.recipe.load", "tunesmith.judge.decide"} <= set(
        names
    )
    code = "\n".join(
        [
            "import importlib, sys",
            f"for name in {names!r}:",
            "    importlib.import_module(name)",
            f"    heavy = [heavy for heavy in {HEAVY!r} if heavy in sys.modules]",
            "    if heavy: sys.exit(f'{name} imports {heavy}')",
        ]
    )
    run_python(code)


def test_the_package_imports_without_deepspeed() -> None:
    run_python("import sys; sys.modules['deepspeed'] = None; import tunesmith, tunesmith.cli.main")


@pytest.mark.slow
def test_every_module_imports_without_deepspeed(modules) -> None:
    names = [module.name for module in modules if not module.name.endswith("__main__")]
    blocked = "import importlib, sys; sys.modules['deepspeed'] = None"
    run_python(f"{blocked}; [importlib.import_module(name) for name in {names!r}]")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_whatever_is_imported_is_required(modules, root) -> None:
    """A package that only comes along with another one may be gone in its next version."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    requirements = project["dependencies"] + extras["zero"] + extras["quantized"]
    requirements += extras["trackers"] + extras["harness"] + extras["audio"]
    required = {normal(re.split(r"[<>=!~ ;\[]", requirement)[0]) for requirement in requirements}
    known = packages_distributions()
    wrong = {
        f"{module.path}:{line}: {package}"
        for module in modules
        for line, name in module.imports()
        if (package := name.split(".")[0]) not in sys.stdlib_module_names | {"tunesmith"}
        and not required & {normal(distribution) for distribution in known.get(package, [package])}
    }
    assert not wrong, "\n".join(sorted(wrong))

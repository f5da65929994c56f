"""The source tree, read once as syntax trees."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tunesmith"


@dataclass(frozen=True)
class Module:
    """One file of the package.

    Attributes:
        path: relative to the repository.
        name: dotted.
        room: the folder below the package; a file that stands beside the folders is a room of its
            own, except the package's entry points, which belong to ``cli``.
    """

    path: Path
    name: str
    room: str
    text: str
    tree: ast.Module

    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        return [n for n in ast.walk(self.tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]

    def imports(self) -> list[tuple[int, str]]:
        """Line and dotted name of every import, inside functions too; ``a.b`` for ``from a import b``."""
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [(node.lineno, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}:{node.lineno}: import by full name"
                found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
        return found

    def calls(self) -> list[ast.Call]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]


def room_of(parts: tuple[str, ...]) -> str:
    if len(parts) > 1:
        return parts[0]
    return "cli" if parts[0] in {"__init__", "__main__"} else parts[0]


def read_module(path: Path) -> Module:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    dotted = ".".join(("tunesmith", *(part for part in parts if part != "__init__")))
    text = path.read_text(encoding="utf-8")
    return Module(path.relative_to(ROOT), dotted, room_of(parts), text, ast.parse(text))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    return [read_module(path) for path in sorted(SOURCE.rglob("*.py"))]


@pytest.fixture(scope="session")
def texts() -> dict[Path, str]:
    """Every text file that people read or change: documents, recipes, profiles, scripts, code and tests."""
    patterns = (
        "*.md",
        "src/**/*.py",
        "src/**/*.html",
        "src/**/*.css",
        "src/**/*.js",
        "tests/**/*.py",
        "docs/**/*.md",
    )
    patterns += (
        "recipes/**/*.yaml",
        "launcher/**/*",
        "slurm/*",
        "benchmarks/**/*.py",
        "Makefile",
        ".ci/run",
        "*.toml",
    )
    found = {path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    return {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in sorted(found)}

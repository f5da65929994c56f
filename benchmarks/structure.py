"""Counts the structure of the package: files, folders, functions, imports, and where tasks are named.

    .venv/bin/python benchmarks/structure.py [--at COMMIT]

``--at`` counts a commit instead of the working tree, so that two can stand beside each other.
"""

from __future__ import annotations

import argparse
import ast
import statistics
import subprocess
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TASKS = ("causal-lm", "sequence-classification", "regression", "image-classification")
AUTO = ("AutoModelForCausalLM", "AutoModelForSequenceClassification", "AutoModelForImageClassification")


def source_at(commit: str, folder: Path) -> Path:
    """The package as it was at a commit, unpacked into a folder."""
    packed = subprocess.run(
        ["git", "archive", commit, "src"], cwd=ROOT, capture_output=True, check=True, timeout=60
    )
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True, timeout=60)
    return folder / "src" / "tunesmith"


def read(source: Path) -> dict[Path, tuple[str, ast.Module]]:
    """Every file with code in it, as text and as a tree."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(source.rglob("*.py"))}
    return {
        path.relative_to(source): (text, ast.parse(text))
        for path, text in texts.items()
        if path.name != "__init__.py" or text.count("\n") > 5
    }


def functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions of a file."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function, its docstring left out."""
    documented = ast.get_docstring(node) is not None
    docstring = (node.body[0].end_lineno or 0) - node.body[0].lineno + 1 if documented else 0
    return (node.end_lineno or 0) - node.lineno + 1 - docstring


def own_imports(tree: ast.Module) -> set[str]:
    """Modules of the package that a file imports."""
    found = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name for name in found if name.startswith("tunesmith")}


def names_tasks(tree: ast.Module) -> bool:
    """Whether a task's or an auto class's name stands in a file as a value."""
    values = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return any(name in values for name in (*TASKS, *AUTO))


def table(source: Path) -> dict[str, str]:
    """The counts by what they count."""
    files = read(source)
    sizes = [text.count("\n") for text, _ in files.values()]
    folders = Counter(path.parent for path in files)
    lengths = [lines(each) for _, tree in files.values() for each in functions(tree)]
    imports = {path: len(own_imports(tree)) for path, (_, tree) in files.items()}
    public: dict[str, set[str]] = defaultdict(set)
    for path, (_, tree) in files.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                public[node.name].add(str(path))
    full, most = max(folders.items(), key=lambda item: item[1])
    widest = max(imports, key=lambda path: imports[path])
    outside = [path for path, (_, tree) in files.items() if "tasks" not in path.parts and names_tasks(tree)]
    return {
        "files, lines": f"{len(files)}, {sum(sizes):,}",
        "median file; largest": f"{statistics.median(sizes):g}; {max(sizes)}",
        "files under 60 lines": f"{sum(size < 60 for size in sizes)}",
        "folders; files a folder, mean": f"{len(folders)}; {len(files) / len(folders):.1f}",
        "largest folder": f"{most} ({full})",
        "functions; median lines": f"{len(lengths)}; {statistics.median(lengths):g}",
        "functions over 50 / 100 lines": f"{sum(x > 50 for x in lengths)} / {sum(x > 100 for x in lengths)}",
        "own modules imported, median; most": (
            f"{statistics.median(imports.values()):g}; {imports[widest]} ({widest})"
        ),
        "public names in more than one file": f"{sum(len(where) > 1 for where in public.values())}",
        "files outside tasks/ that name a task": f"{len(outside)}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--at", help="a commit, instead of the working tree")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = source_at(given.at, Path(folder)) if given.at else ROOT / "src" / "tunesmith"
        for name, value in table(source).items():
            print(f"{name:40} {value}")


if __name__ == "__main__":
    main()

"""The house can be taken in at a glance: folders, files, circles, and names that lead home."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

MOST_FILES = 12
# Commands are functions named after what a person types.
COMMANDS = "cli"
# A rule is a function named after itself, as the section of a report is.
KINDS = ("judge/rules", "report/sections")


def folder_of(module) -> Path:
    return Path(*module.path.parts[2:-1])


def edges(modules) -> dict[str, set[str]]:
    names = {module.name for module in modules}
    found: dict[str, set[str]] = defaultdict(set)
    for module in modules:
        for _, name in module.imports():
            target = name if name in names else name.rpartition(".")[0]
            if target in names - {module.name}:
                found[module.name].add(target)
    return found


def test_a_folder_holds_few_files(modules) -> None:
    files: dict[Path, list[str]] = defaultdict(list)
    for module in modules:
        if module.path.stem not in {"__init__", "__main__"}:
            files[folder_of(module)].append(module.path.stem)
    full = {str(folder): len(stems) for folder, stems in files.items() if len(stems) > MOST_FILES}
    assert not full, f"more than {MOST_FILES} files: {full}"


def test_a_prefix_of_three_files_is_a_folder(modules) -> None:
    prefixes: dict[tuple[Path, str], list[str]] = defaultdict(list)
    for module in modules:
        if "_" in module.path.stem.strip("_"):
            prefixes[folder_of(module), module.path.stem.split("_")[0]].append(module.path.stem)
    shared = {f"{folder}/{prefix}_": stems for (folder, prefix), stems in prefixes.items() if len(stems) > 2}
    assert not shared, shared


def test_no_files_import_in_a_circle(modules) -> None:
    graph, done, path = edges(modules), set(), []
    # The package's entry point and the command line name each other: one starts the other.
    graph["tunesmith"] = set()
    circles = []

    def visit(name: str) -> None:
        if name in path:
            circles.append(" > ".join([*path[path.index(name) :], name]))
            return
        if name in done:
            return
        path.append(name)
        for target in sorted(graph[name]):
            visit(target)
        path.pop()
        done.add(name)

    for name in sorted(graph):
        visit(name)
    assert not circles, "\n".join(circles)


def sub_orders(root: Path) -> dict[str, list[set[str]]]:
    """Room to the tiers of its files and sub-rooms, the highest first, from ``ARCHITECTURE.md``."""
    text = (root / "ARCHITECTURE.md").read_text(encoding="utf-8")
    found = {}
    for room, order in re.findall(r"^inside ([a-z]+): (.+(?:\n +.+)*)$", text, re.MULTILINE):
        found[room] = [set(tier.split()) for tier in order.replace("\n", " ").split(">")]
    return found


def part_of(name: str, room: str) -> str | None:
    parts = name.split(".")
    return parts[2] if parts[:2] == ["tunesmith", room] and len(parts) > 2 else None


def test_inside_a_room_imports_go_one_way(modules, root) -> None:
    orders, graph, wrong = sub_orders(root), edges(modules), []
    assert {"launch", "recipe"} <= set(orders)
    for room, tiers in orders.items():
        height = {part: -number for number, tier in enumerate(tiers) for part in tier}
        present = {part for module in modules if (part := part_of(module.name, room))}
        assert present == set(height), (room, present ^ set(height))
        for source, targets in graph.items():
            for target in targets:
                above, below = part_of(source, room), part_of(target, room)
                if above and below and above != below and height[below] >= height[above]:
                    wrong.append(f"{source} imports {target}")
    assert not wrong, "\n".join(sorted(wrong))


def test_a_public_name_stands_in_one_room(modules) -> None:
    import ast

    rooms: dict[str, set[str]] = defaultdict(set)
    for module in modules:
        folder = str(folder_of(module))
        if module.room == COMMANDS or folder in KINDS or module.path.stem == "__main__":
            continue
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                rooms[node.name].add(module.room)
    shared = {name: sorted(where) for name, where in rooms.items() if len(where) > 1 and name != "main"}
    assert not shared, shared

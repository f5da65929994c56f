"""The house can be taken in at a glance: folders, files, circles, and names that lead home."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

MOST_FILES = 12
SMALL = 60
"""Lines below which a file has two importers, or siblings of its kind."""
FAMILIES = {
    "recipe/tasks",  # a file a family of tasks
    "cli",
    "cli/jobs",
    "data/clean",
    "data/kinds",  # a file a kind of field
    "data/read",
    "data/read/formats",
    "judge/rules",
    "launch/doctor",
    "metrics/families",
    "recipe/check",
    "report/sections",
}
"""Folders of files of one kind: commands, formats, rules, checks, sections."""
SINGLE = {
    "data/lookup",
    "data/map/rewrite",
    "model/attention",
    "model/export/merge",
    "prepare/eval_sample",
    "recipe/json_schema",
    "recipe/locate",
    "sources/file_glob",
    "tasks/language/notes",
    "train/async_eval/liveness",
    "train/engine/optimizer",
    "train/inference/roll_out",
}
"""Small files with one importer whose subject would be hidden in it."""
MOST_FIELDS, MOST_PARAMETERS = 12, 8
RECORDS = {
    "Arithmetic",
    "DataReport",
    "Measurement",
    "Metric",
    "RunFiles",
    "State",
    "TaskSpec",
}
"""What was found, or is declared or remembered; no function is steered by it as by arguments."""
FOREIGN = {"JobOptions", "KubernetesOptions", "KubernetesRequest", "Profile"}
"""A field for each option of a command line, or key of a format that is not ours."""
PROCESSES = {
    "engine/mesh": "where the axes are laid out",
    "engine/process": "who speaks for all",
    "supervise/heartbeat": "who is heard",
    "resume/save": "who writes which share",
    "resume/restore": "whose random numbers",
    "record/cost": "whose meters",
    "record/environment": "what is written down",
    "build": "who has whole weights",
    "loop": "devices that are paid",
}
"""Where processes are counted as such; whoever means shares of the rows asks the mesh."""
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
    assert {"launch", "recipe", "train"} <= set(orders)
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


def test_a_task_is_named_where_tasks_are_declared_alone(modules) -> None:
    """No task's name, auto class, ``isinstance`` of a task or key of an example outside of their rooms."""
    from tunesmith.recipe.tasks.table import TASKS

    names = {*TASKS, *(spec.auto_model for spec in TASKS.values())}
    keys = {"input_ids", "prompt_length", "pixel_values"}
    classes = {spec.code.partition(":")[2] for spec in TASKS.values()}
    found = []
    for module in modules:
        if str(folder_of(module)).startswith(("tasks", "recipe/tasks")):
            continue
        for node in ast.walk(module.tree):
            word = node.value if isinstance(node, ast.Constant) else getattr(node, "id", None)
            theirs = word == "regression" and (module.room == "model" or stem_of(module) == "infer/folder")
            of_model = module.room in (
                "model",
                "report",
                "data",
            )  # its arguments; a count
            if (word in names and not theirs) or word in classes or (word in keys and not of_model):
                found.append(f"{stem_of(module)}:{node.lineno} {word}")
    assert not found, found


def test_no_field_of_a_row_is_named_where_rows_are_handled(modules) -> None:
    """Which fields a row has its task declares: generic code asks the kind of each."""

    def of_row(node: ast.AST) -> bool:
        if not (isinstance(node, ast.Attribute) and node.attr == "fields"):
            return False
        return "row" in (getattr(node.value, "id", ""), getattr(node.value, "attr", ""))

    found = []
    for module in modules:
        if str(folder_of(module)).startswith(("tasks", "recipe/tasks")):
            continue
        for node in ast.walk(module.tree):
            named = (
                isinstance(node, ast.Subscript)
                and of_row(node.value)
                and isinstance(node.slice, ast.Constant)
            )
            asked = isinstance(node, ast.Call) and of_row(getattr(node.func, "value", node)) and node.args
            inside = isinstance(node, ast.Compare) and any(map(of_row, node.comparators))
            literal = asked and isinstance(node.args[0], ast.Constant)
            literal = literal or (inside and isinstance(node.left, ast.Constant))
            if named or literal:
                found.append(f"{stem_of(module)}:{node.lineno}")
    assert not found, found


def stem_of(module) -> str:
    return "/".join((*folder_of(module).parts, module.path.stem))


def test_a_small_file_is_shared_or_has_siblings(modules) -> None:
    importers: dict[str, set[str]] = defaultdict(set)
    for source, targets in edges(modules).items():
        for target in targets:
            importers[target].add(source)
    lonely = [
        stem_of(module)
        for module in modules
        if module.text.count("\n") < SMALL
        and module.path.stem not in {"__init__", "__main__"}
        and len(importers[module.name]) < 2
        and str(folder_of(module)) not in FAMILIES
    ]
    assert set(lonely) <= SINGLE, f"merge with the one file that imports it: {set(lonely) - SINGLE}"


def test_no_function_takes_more_than_a_reader_can_hold(modules) -> None:
    wide = []
    for module in modules:
        for function in module.functions():
            arguments = function.args
            names = [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
            if len(set(names) - {"self", "cls"}) > MOST_PARAMETERS and module.room != COMMANDS:
                wide.append(f"{module.path}:{function.lineno} {function.name}: {len(names)}")
    assert not wide, "\n".join(wide)


def test_no_parameter_object_is_wide(modules) -> None:
    wide = {}
    for module in modules:
        if stem_of(module).startswith("recipe/schema/"):
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                fields = sum(isinstance(one, ast.AnnAssign) for one in node.body)
                if fields > MOST_FIELDS:
                    wide[node.name] = fields
    assert set(wide) <= RECORDS | FOREIGN, wide


def test_a_sub_room_of_train_never_takes_the_whole_setup(modules) -> None:
    whole = [
        stem_of(module)
        for module in modules
        if module.room == "train" and len(folder_of(module).parts) > 1
        for _, name in module.imports()
        if name.startswith("tunesmith.train.context")
    ]
    assert whole == []


def test_shares_of_the_rows_are_asked_of_the_mesh(modules) -> None:
    counting = {
        stem_of(module).removeprefix("train/")
        for module in modules
        if module.room == "train"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr in {"num_processes", "process_index"}
    }
    assert counting <= set(PROCESSES), counting - set(PROCESSES)


# causal_lm learns from four kinds of rows, packed or not, and generates.
LONGER_TASKS = {"causal_lm": 300}


def test_a_task_is_read_at_one_sitting(modules) -> None:
    def methods(node: ast.ClassDef) -> set[str]:
        return {one.name for one in node.body if isinstance(one, ast.FunctionDef)}

    tasks = {
        module.path.stem: module.text.count("\n")
        for module in modules
        if module.room == "tasks"
        for node in module.tree.body
        if isinstance(node, ast.ClassDef) and {"encode", "collate", "loss"} <= methods(node)
    }
    tasks.pop("task", None)  # the interface itself
    assert {"causal_lm", "image_classification", "regression", "sequence_classification"} <= set(tasks)
    long = {name: lines for name, lines in tasks.items() if lines > LONGER_TASKS.get(name, 150)}
    assert not long, long

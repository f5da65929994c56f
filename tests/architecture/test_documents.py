"""What the documents say holds: links, commands, and the path from the command to ``backward``."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# Hosts that a text may point to: papers, licences, schemas, and names that are nobody's.
HOSTS = {"arxiv.org", "www.apache.org", "json-schema.org", "huggingface.co", "github.com", "www.w3.org"}
HOSTS |= {
    "localhost",
    "127.0.0.1",
    "schema.org",
    "keepachangelog.com",
    "semver.org",
    "aclanthology.org",
    "doi.org",
}


def documents(texts: dict[Path, str]) -> dict[Path, str]:
    return {path: text for path, text in texts.items() if path.suffix == ".md"}


def anchors(text: str) -> set[str]:
    """Anchors of a document's headings, as the usual renderers make them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_in_the_documents_leads_somewhere(texts, root) -> None:
    broken = []
    for path, text in documents(texts).items():
        for target in LINK.findall(text):
            if "://" in target or target.startswith("mailto:"):
                continue
            file, _, anchor = target.partition("#")
            goal = root / path.parent / file if file else root / path
            if not goal.exists() or (anchor and anchor not in anchors(goal.read_text())):
                broken.append(f"{path}: {target}")
    assert not broken, "\n".join(broken)


def test_every_make_target_in_the_documents_exists(texts, root) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    named = {
        (str(path), target)
        for path, text in documents(texts).items()
        for code in re.findall(r"`+([^`]+)`+", text)
        for target in re.findall(r"\bmake ([a-z][a-z-]*)", code)
    }
    assert ("README.md", "demo") in named
    assert ("README.md", "test") in named
    assert [f"{path}: make {target}" for path, target in sorted(named) if target not in targets] == []


def test_every_file_named_in_a_command_exists(texts, root) -> None:
    pattern = re.compile(
        r"\b(?:recipes|launcher|slurm|benchmarks|docs)/[\w./-]+\.(?:yaml|sbatch|py|md|json)\b"
    )
    missing = [
        f"{path}: {name}"
        for path, text in texts.items()
        if path.suffix in {".md", ".yaml", ".sbatch"} or path.name == "Makefile"
        for name in pattern.findall(text)
        if not (root / name).exists()
    ]
    assert not missing, "\n".join(missing)


def test_continuous_integration_runs_the_command_of_the_readme(root) -> None:
    script = (root / ".ci" / "run").read_text()
    assert os.access(root / ".ci" / "run", os.X_OK)
    assert "make lint" in script
    assert "make test" in script


def hops(root: Path) -> list[tuple[Path, str]]:
    """Files and functions of the path to ``backward``, in the order in which ARCHITECTURE.md tells them."""
    text = (root / "ARCHITECTURE.md").read_text()
    section = re.search(r"## From the command to `backward`(.*?)\n## ", text, re.DOTALL)
    assert section is not None
    found = re.findall(r"\[`(?:\w+\.)*(\w+)`\]\((src/[\w/.]+\.py)\)", section[1])
    return [(root / file, name) for name, file in found]


def reachable(path: Path, function: str) -> set[str]:
    """What a function calls, itself or through other functions of its own file."""
    tree = ast.parse(path.read_text())
    bodies = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert function in bodies, f"{path} has no function {function}"
    seen: set[str] = set()
    waiting = [function]
    while waiting:
        body = bodies[waiting.pop()]
        calls = [ast.unparse(n.func).rsplit(".", 1)[-1] for n in ast.walk(body) if isinstance(n, ast.Call)]
        waiting += [name for name in calls if name in bodies and name not in seen]
        seen |= set(calls)
    return seen


def test_the_path_to_backward_is_the_one_told(root) -> None:
    path = hops(root)
    assert path[0] == (root / "src" / "tunesmith" / "__init__.py", "main")
    assert len(path) <= 5
    callees = [name for _, name in path[1:]] + ["backward"]
    for (file, name), callee in zip(path, callees, strict=True):
        assert callee in reachable(file, name), f"{file}: {name} does not call {callee}"


def test_the_bodies_on_the_path_are_counted(root) -> None:
    """Each calls the next by its name, or is handed it and calls that."""
    section = (root / "ARCHITECTURE.md").read_text().split("## From the command to `backward`")[1]
    told = re.search(r"(\w+)\s+bodies: (.*?);", section, re.DOTALL)
    assert told is not None
    names = re.findall(r"`(\w+)`", told[2])
    assert told[1] == {7: "seven", 8: "eight", 9: "nine"}[len(names)]
    bodies = {}
    for path in (*(path for path, _ in hops(root)), root / "src" / "tunesmith" / "cli" / "messages.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                bodies.setdefault(node.name, node)
    for name, callee in zip(names, [*names[1:], "backward"], strict=True):
        body = bodies[name]
        calls = {
            ast.unparse(one.func).rsplit(".", 1)[-1] for one in ast.walk(body) if isinstance(one, ast.Call)
        }
        handed = [each.arg for each in body.args.args if "Callable" in ast.unparse(each.annotation or body)]
        assert callee in calls or calls & set(handed), f"{name} does not call {callee}"


def test_recipes_start_where_the_path_starts(root) -> None:
    recipes = sorted((root / "recipes").rglob("*.yaml"))
    assert recipes
    line = 'if __name__ == "__main__": import tunesmith; tunesmith.main(__file__); r"""'
    launched = [recipe for recipe in recipes if recipe.read_text().startswith(line)]
    assert root / "recipes" / "gpt_sft.yaml" in launched
    assert all(recipe.read_text().rstrip().endswith('# """') for recipe in launched)


@pytest.mark.parametrize("mark", ["TO" + "DO", "FIX" + "ME", "X" * 3])
def test_nothing_is_left_for_later(texts, mark: str) -> None:
    assert [str(path) for path, text in texts.items() if re.search(rf"\b{mark}\b", text)] == []


def test_addresses_point_to_papers_licences_and_schemas_only(texts) -> None:
    wrong = [
        f"{path}: {url}"
        for path, text in texts.items()
        for url in re.findall(r"https?://[^\s\"'`)>\]]+", text)
        if (host := urlsplit(url.replace("{", "").replace("}", "")).hostname or "") not in HOSTS
        and not host.endswith((".example", ".invalid", ".test"))
        and host not in {"...", "example.org", "example.com"}
        and path.parts[0] != "tests"
    ]
    assert not wrong, "\n".join(wrong)


def test_no_text_knows_the_machine_it_was_written_on(texts, root) -> None:
    folders = {str(root), str(Path.home())} - {"/", "/root"}
    wrong = [f"{path}: {folder}" for path, text in texts.items() for folder in folders if folder in text]
    assert not wrong, "\n".join(wrong)


def test_the_change_log_names_the_version(root) -> None:
    version = re.search(r'^version = "(.+)"', (root / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert f"## {version[1]}" in (root / "CHANGELOG.md").read_text()


def test_constraints_pin_everything_that_is_required(root) -> None:
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + extras["zero"] + extras["quantized"] + extras["dev"]
    pinned = dict(
        line.lower().split("==")
        for line in (root / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
    normal = {re.sub(r"[-_.]+", "-", name): version for name, version in pinned.items()}
    names = {re.split(r"[<>=!~ ;\[]", requirement.lower())[0] for requirement in wanted}
    assert sorted(name for name in names if name not in normal) == []
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in normal.values())


def test_the_readme_can_be_read_in_one_go(root) -> None:
    assert (root / "README.md").read_text().count("\n") <= 150
    assert (root / "ARCHITECTURE.md").read_text().count("\n") <= 100


def test_the_recipe_in_the_readme_is_a_recipe(root, tmp_path) -> None:
    from tunesmith.recipe.load import load_recipe
    from tunesmith.recipe.yaml.launchable import is_launchable

    block = re.search(r"```yaml\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    assert block is not None
    (tmp_path / "questions.jsonl").write_text('{"text": "Who wrote it?", "label": "human"}\n')
    (tmp_path / "recipe.yaml").write_text(block[1])
    assert is_launchable(block[1])
    assert load_recipe(tmp_path / "recipe.yaml").stop[0].target == {"exact_match": 0.85}


def test_every_command_in_the_readme_exists(root) -> None:
    from typer.main import get_command

    from tunesmith.cli.main import app

    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    text = (root / "README.md").read_text()
    codes = re.findall(r"```\n(.*?)```|`([^`\n]+)`", text, re.DOTALL)
    named = {
        word
        for pair in codes
        for code in pair
        for word in re.findall(r"(?<!-m )\btunesmith ([a-z]+)\b", code)
    }
    assert {"run", "chat", "init"} <= named
    assert named <= known, named - known

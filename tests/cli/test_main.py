from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tunesmith as package
from tunesmith.recipe.yaml.launchable import LAUNCH_LINE, make_launchable

Command = Callable[..., tuple[int, str, str]]
COMMANDS = ["run", "plan", "preview", "check", "schema", "init", "launchable", "chat", "generate"]
COMMANDS += ["evaluate", "report", "rows", "save", "stop", "compare", "watch", "follow", "ui"]


def python(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=60,
    )


def test_help_lists_every_command_whole(tunesmith: Command):
    status, out, _ = tunesmith("--help")
    assert status == 0
    listed = [line.split()[0] for line in out.partition("Commands:")[2].splitlines() if line.startswith("  ")]
    assert [name for name in listed if name in COMMANDS] == COMMANDS
    assert "..." not in out.partition("Commands:")[2]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(tunesmith: Command, command: str):
    status, out, _ = tunesmith(command, "--help")
    assert status == 0
    assert f"tunesmith {command}" in out


def test_version(tunesmith: Command):
    assert tunesmith("--version") == (0, f"tunesmith {package.__version__}\n", "")


def test_a_mistyped_command_or_option_gets_the_nearest_one(tunesmith: Command, recipe: Path):
    status, _, err = tunesmith("chekc", recipe)
    assert status == 2
    assert "'check'" in err
    status, _, err = tunesmith("run", recipe, "--frseh")
    assert status == 2
    assert "--fresh" in err


def test_a_recipe_in_place_of_a_command(tunesmith: Command, recipe: Path):
    status, _, err = tunesmith(recipe, "batch.size=4")
    assert status == 2
    assert "hint: write `tunesmith run r.yaml batch.size=4`" in err


def test_check_a_good_recipe(tunesmith: Command, recipe: Path):
    status, out, err = tunesmith("check", recipe)
    assert (status, err) == (0, "not looked at: `org/name` is on the hub\n")
    assert out.startswith(
        "r.yaml: good (task causal-lm, run directory runs/r, `tunesmith launchable r.yaml` would"
    )


@pytest.mark.parametrize("command", ["check", "run", "plan", "preview"])
def test_a_mistake_ends_with_2_and_the_message_alone(tunesmith: Command, recipe: Path, command: str):
    status, out, err = tunesmith(command, recipe, "batch.size=many", "run.sed=1")
    assert (status, out) == (2, "")
    assert err.startswith(
        "override `batch.size=many`: `batch.size` must be a whole number above 0; got `many`"
    )
    assert err.endswith("2 mistakes\n")
    assert not Path("runs").exists()


def test_check_notices_a_damaged_launch_line(tunesmith: Command, recipe: Path):
    recipe.write_text(make_launchable(recipe.read_text()).removesuffix('# """\n'))
    status, _, err = tunesmith("check", recipe)
    assert status == 2
    assert "hint: `tunesmith launchable r.yaml` mends both lines" in err
    assert tunesmith("launchable", recipe)[0] == 0
    assert tunesmith("check", recipe)[:2] == (0, "r.yaml: good (task causal-lm, run directory runs/r)\n")


def test_launchable_changes_a_file_in_place_and_once(tunesmith: Command, recipe: Path):
    recipe.chmod(0o640)
    before = recipe.read_text()
    status, out, _ = tunesmith("launchable", recipe)
    assert (status, out) == (0, "r.yaml: now a program; `accelerate launch r.yaml` runs it\n")
    assert recipe.read_text() == f'{LAUNCH_LINE}\n{before}# """\n'
    assert stat.S_IMODE(recipe.stat().st_mode) == 0o640
    assert tunesmith("launchable", recipe)[1] == "r.yaml: has both lines already\n"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "there is no file"),
        (b"", "empty"),
        (b"\xff\xfe", "not UTF-8"),
        (b'a: \'"""\'\n', "would end the Python"),
    ],
)
def test_launchable_refuses_and_changes_nothing(
    tunesmith: Command, tmp_path: Path, content: bytes | None, what: str
):
    path = tmp_path / "x.yaml"
    if content is not None:
        path.write_bytes(content)
    status, _, err = tunesmith("launchable", path)
    assert status == 2
    assert what in err
    assert not path.exists() or path.read_bytes() == content


def test_schema_is_json(tunesmith: Command):
    status, out, _ = tunesmith("schema")
    assert status == 0
    assert "task" in json.loads(out)["properties"]


def test_generate_and_report_say_what_is_missing(tunesmith: Command, tmp_path: Path):
    for command in (
        ["report", "nowhere"],
        ["generate", "nowhere", "--input", "a", "--output", "b"],
        ["chat", "nowhere"],
    ):
        status, _, err = tunesmith(*command)
        assert status == 2
        assert "nowhere" in err or "`a`" in err
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_run_by_python_reports_its_mistake(recipe: Path, tmp_path: Path):
    recipe.write_text(make_launchable(recipe.read_text().replace("size: 8", "siez: 8")))
    done = python("r.yaml", "run.seed=1", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("r.yaml:6:9: unknown key `batch.siez`")
    assert "Traceback" not in done.stderr
    other = python("r.yaml", folder=tmp_path, LOCAL_RANK="1", RANK="1")
    assert (other.returncode, other.stderr) == (2, "")


def test_python_m_tunesmith_takes_a_recipe_first(recipe: Path, tmp_path: Path):
    done = python("-m", "tunesmith", "r.yaml", "batch.siez=1", folder=tmp_path)
    assert done.returncode == 2
    assert "did you mean `size`?" in done.stderr
    assert python("-m", "tunesmith", "check", "r.yaml", folder=tmp_path).returncode == 0


def test_help_and_a_mistake_import_nothing_heavy(recipe: Path, tmp_path: Path):
    code = (
        "import sys; from tunesmith.cli.main import command_line\n"
        "try: command_line(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'datasets', 'numpy', 'pandas', 'pyarrow', 'deepspeed'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    for arguments in (
        ["--help"],
        ["run", "r.yaml", "batch.siez=1"],
        ["plan", "r.yaml", "x=1"],
        ["check", "r.yaml"],
    ):
        done = python("-c", code, *arguments, folder=tmp_path)
        read_rows = arguments == ["check", "r.yaml"]  # which takes numpy, and no more
        allowed = ("heavy: []", "heavy: ['numpy']") if read_rows else ("heavy: []",)
        assert any(each in done.stdout for each in allowed), done.stderr

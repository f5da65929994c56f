"""A file of the user's that is called like a library's module takes no module's place."""

import os
import subprocess
import sys

import pytest

SHOWS = "import sys\nfrom tunesmith.world.import_path import leave_script_folder\n"
SHOWS += "leave_script_folder(FILE)\nprint(sys.path[0])\n"


@pytest.fixture
def folder(tmp_path):
    """A folder with a script, a module, and a file that would take the place of Python's own."""
    (tmp_path / "script.py").write_text(SHOWS.replace("FILE", "__file__"))
    (tmp_path / "module.py").write_text(SHOWS.replace("FILE", ""))
    (tmp_path / "queue.py").write_text("raise RuntimeError('not yours')")
    return tmp_path


@pytest.mark.parametrize("arguments", [["script.py"], ["-m", "module"], ["-P", "script.py"]], ids=" ".join)
def test_the_folder_of_a_script_or_of_a_module_is_left(folder, arguments):
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert os.path.realpath(done.stdout.strip()) != os.path.realpath(folder)


def test_what_the_user_named_stays(folder):
    environ = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(folder)


@pytest.mark.parametrize("program", [["python", "r.yaml"], ["python", "-m", "tunesmith", "check", "r.yaml"]])
def test_a_command_given_beside_such_a_file(folder, program):
    """The recipe is wrong on purpose: everything that a check imports is imported."""
    (folder / "typer.py").write_text("raise RuntimeError('not yours')")
    (folder / "yaml.py").write_text("raise RuntimeError('not yours')")
    line = 'if __name__ == "__main__": import tunesmith; tunesmith.main(__file__); r"""\n'
    (folder / "r.yaml").write_text(f'{line}task: causal-ml\n# """\n')
    command = [sys.executable, *program[1:]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "not yours" not in done.stderr


def test_no_process_of_ours_imports_from_where_it_is_started():
    """Each child that runs a module of ours says ``-P``."""
    from pathlib import Path

    import tunesmith

    for path in Path(str(tunesmith.__file__)).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert 'executable, "-m"' not in text, path
        assert 'python, "-m"' not in text, path

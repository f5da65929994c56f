"""A run directory is its owner's alone, whatever the umask, and nothing in it leads elsewhere."""

import os
import stat

import pytest


def modes(folder):
    """Path and mode of everything in a folder, itself included."""
    return {path: stat.S_IMODE(path.lstat().st_mode) for path in (folder, *folder.rglob("*"))}


@pytest.fixture
def open_umask(launcher, tmp_path):
    """A script that starts a recipe as a process without any umask would."""
    script = tmp_path / "open.py"
    script.write_text(
        "import os, sys\nimport tunesmith\nos.umask(0)\ntunesmith.main(sys.argv[1], sys.argv[2:])\n"
    )
    return script


@pytest.mark.parametrize("task", ["causal-lm", "image-classification"])
@pytest.mark.parametrize("there", [False, True], ids=["new", "an empty folder"])
@pytest.mark.matrix(sample=2, each="task")
def test_every_file_under_umask_000(launcher, open_umask, tmp_path, task, there):
    run_dir = tmp_path / "shared" / "run"
    if there:
        run_dir.mkdir(parents=True, mode=0o777)
        run_dir.chmod(0o777)
    settings = ["eval.every=4 steps", "stop=[{budget: {steps: 8}}]", f"run.dir={run_dir}", "run.threads=1"]
    launcher.run(open_umask, str(launcher.recipe(task)), *settings)
    found = modes(run_dir)
    assert len(found) > 15
    open_ones = {str(path): oct(mode) for path, mode in found.items() if mode & 0o077}
    assert open_ones == {}
    assert all(mode == (0o700 if path.is_dir() else 0o600) for path, mode in found.items())


def test_what_libraries_write_is_private_too(launcher, open_umask, tmp_path):
    """Rows that come from code, which writes a file of its own, stand for any library."""
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        launcher.recipe("regression").read_text().replace("python:rows:reviews", "python:side:reviews")
    )
    code = (launcher.recipe("regression").parent / "rows.py").read_text()
    (tmp_path / "side.py").write_text(f"{code}\nopen({str(tmp_path / 'side.txt')!r}, 'w').close()\n")
    launcher.run(open_umask, str(recipe), "stop=[{budget: {steps: 1}}]", f"run.dir={tmp_path}/run")
    assert stat.S_IMODE((tmp_path / "side.txt").stat().st_mode) == 0o600


def test_what_was_opened_up_stays_open(launcher, open_umask, tmp_path):
    settings = [f"run.dir={tmp_path}/run", "run.threads=1"]
    stopped = launcher.start("regression", "stop=[{budget: {steps: 2000}}]", "eval.every=1000", *settings)
    journal = tmp_path / "run" / "metrics.jsonl"
    while not (journal.exists() and '"train"' in journal.read_text()):
        assert not stopped.ended(), stopped.err
    import signal

    stopped.signal(signal.SIGTERM)
    assert stopped.wait() == 75
    (tmp_path / "run").chmod(0o750)
    again = launcher.start("regression", "stop=[{budget: {steps: 2000}}]", "eval.every=1000", *settings)
    while "continuing" not in again.out and not again.ended():
        pass
    again.signal(signal.SIGTERM)
    again.wait()
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o750


@pytest.mark.parametrize(
    "name",
    [
        "metrics.jsonl",
        "owner.lock",
        "result.json",
        "report.html",
        "recipe.yaml",
        "checkpoints",
        "best",
        "model",
        "x",
    ],
)
@pytest.mark.parametrize("kind", ["file", "folder", "nothing"])
@pytest.mark.matrix(sample=6, each="kind")
def test_a_planted_link_is_not_followed(launcher, tmp_path, name, kind):
    target, run_dir = tmp_path / "target", tmp_path / "run"
    run_dir.mkdir()
    if kind == "file":
        target.write_text("precious")
    elif kind == "folder":
        target.mkdir()
        (target / "precious").write_text("precious")
    (run_dir / name).symlink_to(target)
    done = launcher.run("regression", "stop=[{budget: {steps: 2}}]", f"run.dir={run_dir}", status=2)
    assert "Traceback" not in done.err
    assert "run directory" in done.err
    assert (run_dir / name).is_symlink()
    if kind == "file":
        assert target.read_text() == "precious"
    elif kind == "folder":
        assert [path.name for path in target.iterdir()] == ["precious"]
    else:
        assert not target.exists()


def test_the_run_directory_itself_may_be_a_link(launcher, tmp_path):
    (tmp_path / "large").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "large")
    launcher.run("regression", "stop=[{budget: {steps: 2}}]", f"run.dir={tmp_path}/run")
    assert (tmp_path / "large" / "result.json").exists()
    assert modes(tmp_path / "large")[tmp_path / "large"] == 0o700


@pytest.mark.parametrize("name", ["..yaml", "...yaml", "....yaml", "a b.yaml", "é.yaml"])
@pytest.mark.matrix(sample=2)
def test_the_name_of_a_recipe_leads_nowhere(launcher, tmp_path, name):
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    text = launcher.recipe("regression").read_text()
    (folder / name).write_text(text.replace("./", f"{launcher.recipe('x').parent}/"))
    (folder / "rows.py").write_text((launcher.recipe("x").parent / "rows.py").read_text())
    launcher.run(folder / name, "stop=[{budget: {steps: 1}}]", "run.dir=null", cwd=folder)
    assert {path.name for path in tmp_path.iterdir()} == {"deep"}
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"er"}
    assert {path.name for path in folder.iterdir()} <= {name, "rows.py", "runs", "__pycache__"}
    assert len([path for path in (folder / "runs").iterdir() if path.is_dir()]) == 1
    assert os.listdir(folder / "runs") != ["result.json"]

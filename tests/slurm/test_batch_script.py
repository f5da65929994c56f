"""The batch script without a cluster: it is bash, what a person forgets is named, and there is one of it."""

import os
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.launch.slurm.record import vain_restarts
from tunesmith.launch.slurm.script import (
    JobOptions,
    job_name,
    log_path,
    option_lines,
    read_time,
    script_text,
    shipped_script,
)

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "slurm" / "sft.sbatch"
JOB = {"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "1", "SLURM_SUBMIT_DIR": str(ROOT)}
OPTIONS = JobOptions(name="tunesmith-run", output="/runs/a b/slurm/%j.out", comment="tunesmith:1", nodes=2)


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
    return subprocess.run(
        ["bash", str(SCRIPT), *arguments], env=clean | environ, capture_output=True, text=True, timeout=30
    )


def filled_in(**changes) -> str:
    arguments = ["recipes/my recipe.yaml", "stop=[{budget: {steps: 3}}]"]
    return script_text(shipped_script(), replace(OPTIONS, **changes), {"PROFILE": "/a b.yaml"}, arguments)


@pytest.mark.parametrize("text", [SCRIPT.read_text(), filled_in()], ids=["shipped", "filled in"])
def test_it_is_bash(text: str) -> None:
    subprocess.run(["bash", "-n"], input=text, check=True, text=True)


@pytest.mark.parametrize(
    ("arguments", "environ", "what"),
    [
        ((), JOB, "no recipe given"),
        (("recipes/gpt_sft.yaml",), {}, "not inside a SLURM job"),
        (("recipes/no such recipe.yaml",), JOB, "no recipe at recipes/no such recipe.yaml"),
        (("Makefile",), JOB | {"VENV": "/nowhere"}, "no environment at /nowhere"),
    ],
)
def test_what_is_missing_is_named(arguments: tuple[str, ...], environ: dict[str, str], what: str) -> None:
    done = run(*arguments, **environ)
    assert done.returncode == 2
    assert what in done.stderr
    assert "hint: " in done.stderr


@pytest.mark.parametrize("text", [SCRIPT.read_text(), filled_in()], ids=["shipped", "filled in"])
def test_options_stand_before_the_first_command(text: str) -> None:
    """SLURM reads no ``#SBATCH`` line after the first command."""
    lines = text.splitlines()
    options = [number for number, line in enumerate(lines) if line.startswith("#SBATCH")]
    first_command = next(n for n, line in enumerate(lines) if line and not line.startswith("#"))
    assert options
    assert max(options) < first_command


def test_both_scripts_are_requeued_and_told_in_time() -> None:
    for text in (SCRIPT.read_text(), filled_in()):
        assert "#SBATCH --requeue" in text
        assert "#SBATCH --signal=B:USR2@180" in text
        assert "#SBATCH --open-mode=append" in text


def test_the_filled_in_script_differs_in_its_lines_only() -> None:
    own = ("#SBATCH ", "export PROFILE=", "set -- ")
    shipped = [line for line in SCRIPT.read_text().splitlines() if not line.startswith("#SBATCH ")]
    assert [line for line in filled_in().splitlines() if not line.startswith(own)] == shipped


def test_arguments_arrive_whole() -> None:
    lines = [line for line in filled_in().splitlines() if line.startswith(("export ", "set -- "))]
    shown = subprocess.run(
        ["bash", "-c", "\n".join([*lines, 'printf "%s\\n" "$PROFILE" "$@"'])], capture_output=True, text=True
    )
    assert shown.stdout.splitlines() == [
        "/a b.yaml",
        "recipes/my recipe.yaml",
        "stop=[{budget: {steps: 3}}]",
    ]


def test_only_what_was_asked_for_is_asked_of_slurm() -> None:
    lines = option_lines(OPTIONS)
    named = {match[1] for line in lines if (match := re.match(r"#SBATCH --([\w-]+)", line))}
    always = {"job-name", "comment", "output", "open-mode", "nodes", "ntasks-per-node", "signal", "requeue"}
    assert named == always
    assert '#SBATCH --output="/runs/a b/slurm/%j.out"' in lines
    more = option_lines(
        replace(
            OPTIONS,
            gpus=8,
            cpus=4,
            time="4:00:00",
            partition="a100",
            account="me",
            qos="high",
            tasks=6,
            at_once=2,
            after=("7", "8"),
            other=("--mem=64G",),
        )
    )
    assert {line.removeprefix("#SBATCH ") for line in more} >= {
        "--gpus-per-node=8",
        "--cpus-per-task=4",
        "--time=4:00:00",
        "--partition=a100",
        "--account=me",
        "--qos=high",
        "--array=0-5%2",
        "--dependency=afterok:7:8",
        "--mem=64G",
    }


@pytest.mark.parametrize("value", ["a\nrm -rf /", "a\r--nice", "a\0b"])
def test_no_option_breaks_out_of_its_line(value: str) -> None:
    with pytest.raises(UserError, match="line break"):
        option_lines(replace(OPTIONS, partition=value))


@pytest.mark.parametrize("value", ["a b", 'a" --nice=77 --error="z', "a\\", 'a\\" --nice=77 "', "a'b", "a#b"])
def test_no_option_adds_another(value: str) -> None:
    """As SLURM parts a line: quotes hold words together, a backslash takes the next sign."""
    [line] = [line for line in option_lines(replace(OPTIONS, account=value)) if "--account" in line]
    assert shlex.split(line) == ["#SBATCH", f"--account={value}"]


@pytest.mark.parametrize("name", ["plain", "with space", "per%j%u", "lr%5", "100%", "%%", "a=1,b=2", "übung"])
def test_a_log_goes_where_the_run_is(name: str) -> None:
    """SLURM's own reading: ``%%`` is a percent sign, ``%`` and a letter stands for something."""
    path = log_path(Path("/runs", name, "slurm"), "%j.out")
    shown = re.sub(r"%%|%\d*[a-zA-Z]", lambda found: {"%%": "%", "%j": "7"}.get(found[0], "<>"), path)
    assert shown == f"/runs/{name}/slurm/7.out"


@pytest.mark.parametrize("name", ["back\\slash", 'quo"te', "it's", "two\nlines", "\x1b[2J", "\u202e"])
def test_a_folder_that_slurm_cannot_be_told_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="cannot write a log"):
        log_path(Path("/runs", name, "slurm"), "%j.out")


@pytest.mark.parametrize(
    ("text", "slurm", "seconds"),
    [
        ("4h", "4:00:00", 14400),
        ("90m", "1:30:00", 5400),
        ("45s", "0:00:45", 45),
        ("2d", "48:00:00", 172800),
        ("30", "30", 1800),
        ("10:30", "10:30", 630),
        ("1:00:05", "1:00:05", 3605),
        ("1-12", "1-12", 129600),
        ("1-12:30", "1-12:30", 131400),
        ("1-00:00:07", "1-00:00:07", 86407),
    ],
)
def test_times(text: str, slurm: str, seconds: int) -> None:
    assert read_time(text) == (slurm, seconds)


@pytest.mark.parametrize("text", ["", "soon", "4 h", "0", "0:00", "-1", "1:2:3:4", "4h30"])
def test_no_times(text: str) -> None:
    with pytest.raises(UserError, match="--time"):
        read_time(text)


@pytest.mark.parametrize(
    ("run_dir", "name"),
    [
        ("runs/gpt_sft", "tunesmith-gpt_sft"),
        ("/scratch/a b/", "tunesmith-a-b"),
        ("runs/über;rm", "tunesmith-ber-rm"),
        ("/", "tunesmith-run"),
    ],
)
def test_names(run_dir: str, name: str) -> None:
    assert job_name(run_dir) == name


@pytest.mark.parametrize(
    ("checkpoints", "now", "vain"),
    [
        ([], None, 0),
        ([None], None, 0),
        ([None], 5, 0),
        ([None, None], None, 1),
        ([None, 5, 5, 5], 5, 2),
        ([None, 5, 5, 5], 6, 0),
        ([5, 5, 7], 7, 0),
        ([7, 7, 7, 7], 7, 3),
    ],
)
def test_restarts_in_vain_are_counted_from_the_newest(checkpoints, now, vain) -> None:
    other = [{"mark": "other", "checkpoint": now}] * 5
    starts = [*other, *({"mark": "own", "checkpoint": step} for step in checkpoints)]
    assert vain_restarts(starts, "own", now) == vain

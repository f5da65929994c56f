"""Runs on a real SLURM: submitted, interrupted in every way that a cluster knows, and gone on with.

Of what interrupts a run, `make test` has preemption (of two nodes, data parallel), the end by hand and faults
that stay; the time limit, a lost node, the controller's restart, a preemption with loader workers and one of
two nodes with ZeRO-3 are long.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tunesmith.launch.slurm.script import JobOptions, log_path, option_lines

SMOKE = Path(__file__).parents[2] / "recipes" / "smoke"

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
if any(shutil.which(one, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None for one in PROGRAMS):
    pytest.skip("no SLURM", allow_module_level=True)

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(600)]


def resumed(job) -> list[int]:
    return [record["step"] for record in job.records("resume")]


ZERO3 = """\
compute_environment: LOCAL_MACHINE
distributed_type: DEEPSPEED
deepspeed_config:
  deepspeed_multinode_launcher: standard
  zero_stage: 3
  offload_optimizer_device: none
  offload_param_device: none
  zero3_init_flag: false
  zero3_save_16bit_model: false
  gradient_accumulation_steps: 1
num_machines: 2
num_processes: 2
rdzv_backend: static
same_network: true
gpu_ids: "-1"
mixed_precision: "no"
"""
"""``launcher/nodes_zero3.yaml`` on processors, one process a node."""

DATA_PARALLEL = """\
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_GPU
num_machines: 2
num_processes: 2
gpu_ids: "-1"
mixed_precision: "no"
"""


URGENT = ["-p", "high", "--exclusive", "--output=/dev/null", "--wrap", "true"]
"""Options of a job that takes a node from others."""


def signals_ignored_by(pid: int) -> set[int]:
    mask = next(
        int(line.split()[1], 16)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("SigIgn:")
    )
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


@pytest.mark.parametrize(
    "profile", [DATA_PARALLEL, pytest.param(ZERO3, marks=pytest.mark.long)], ids=["data parallel", "zero 3"]
)
def test_two_nodes(cluster, submit, control_without_dropout, without_dropout, tmp_path, profile):
    """The same losses as on one process, and after both nodes were preempted, too."""
    (tmp_path / "two.yaml").write_text(profile)
    job = submit(*without_dropout, on=str(tmp_path / "two.yaml"))
    job.hold_at(8)
    urgent = cluster.ask("sbatch", "--parsable", *URGENT, "-N2")
    job.waits_for(lambda: len(job.starts()) == 2)
    assert cluster.state(urgent) == "COMPLETED"
    job.end()
    assert resumed(job)[0] >= 8
    assert job.result()["world"] == {"processes": 2, "machines": 2}
    losses = {step: float.fromhex(loss) for step, loss in job.losses().items()}
    expected = {step: float.fromhex(loss) for step, loss in control_without_dropout.items()}
    assert losses == pytest.approx(expected, abs=1e-5)


@pytest.mark.long
def test_the_time_limit(cluster, submit, control):
    """The notice comes before it; the run saves, is requeued, and goes on as if nothing had been."""
    job = submit("--time", "30", "--notice", "100")
    job.hold_at(12)
    # 120 s from the allocation's start, not from the first step; SLURM looks every half minute.
    cluster.ask("scontrol", "update", f"JobId={job.number}", "TimeLimit=2")
    job.waits_for(lambda: "told to leave" in job.log)
    job.release()
    job.waits_for(lambda: len(job.starts()) == 2)
    cluster.ask("scontrol", "update", f"JobId={job.number}", "TimeLimit=30")  # one continuation is enough
    assert "preempted; requeued" in job.log
    job.end()
    assert [start["restart"] for start in job.starts()] == [0, 1]
    assert len(resumed(job)) == 1
    assert resumed(job)[0] >= 12
    assert job.losses() == control
    assert job.result()["status"] == "completed"
    assert len(list((job.run_dir / "slurm").glob("*.out"))) == 1


@pytest.mark.long
def test_preemption_by_a_higher_partition(cluster, submit, control):
    """The first signal (SIGCONT, SIGTERM to every process, loader workers too) saves and requeues."""
    job = submit("--cpus", "4", "--sbatch=--nodelist=n1", "data.workers=1")
    job.hold_at(7)
    # The launcher is not to die of what is meant for the run, nor to end it half a minute later.
    ignored = {signal.SIGTERM, signal.SIGUSR2, signal.SIGINT}
    assert all(ignored <= signals_ignored_by(pid) for pid in job.launchers())
    assert job.launchers()
    urgent = cluster.ask("sbatch", "--parsable", *URGENT, "-w", "n1")
    job.waits_for(lambda: len(job.starts()) == 2)
    assert cluster.state(urgent) == "COMPLETED"
    job.end()
    assert resumed(job)[0] >= 7
    assert job.losses() == control


def test_cancelled_and_submitted_again(cluster, submit, control):
    """What was learnt is saved; nothing comes back by itself; the same command goes on."""
    job = submit()
    job.hold_at(3)
    said = cluster.tunesmith("status", str(job.run_dir)).out
    assert f"{job.number} running" in said
    said = cluster.tunesmith("cancel", str(job.run_dir)).out
    assert f"job {job.number} is being ended" in said
    job.release()
    job.end("CANCELLED")
    assert job.result()["status"] == "preempted"
    time.sleep(7)  # longer than a requeued job takes to come back
    assert job.state() == "CANCELLED"
    again = submit()
    assert again.number != job.number
    again.end()
    assert len(resumed(again)) == 1
    assert again.losses() == control
    said = cluster.tunesmith("logs", str(job.run_dir), "-f").out
    assert f"continuing at step {resumed(again)[0]}" in said
    said = cluster.tunesmith("status", str(job.run_dir)).out
    assert "completed" in said
    assert f"{again.number} completed" in said
    assert "40" in said
    # A finished run is not queued again.
    common = ["--on", "cpu", f"run.dir={job.run_dir}"]
    said = cluster.tunesmith("submit", "recipes/smoke/sequence-classification.yaml", *common).out
    assert "already finished" in said


@pytest.mark.long
def test_a_lost_node(cluster, submit, control):
    """The node with the batch script is gone: SLURM requeues the job, and it goes on on another node."""
    job = submit("--sbatch=--nodelist=n2")
    job.hold_at(11)
    cluster.tell("kill", "n2")
    job.waits_for(lambda: "n2=down*" in cluster.nodes() or "n2=down" in cluster.nodes())
    job.waits_for(lambda: job.state() == "PENDING")
    cluster.tell("start", "n2")
    job.end()
    assert [start["restart"] for start in job.starts()] == [0, 1]
    assert len(resumed(job)) == 1
    assert resumed(job)[0] >= 10
    assert resumed(job)[0] % 5 == 0  # saved every 5 steps, and not when it was killed
    assert job.losses() == control
    cluster.wait_until_idle()


@pytest.mark.long
def test_a_restarted_controller(cluster, submit, control):
    """A job neither notices nor is submitted twice; meanwhile a command says so within seconds."""
    job = submit()
    job.hold_at(2)
    cluster.tell("kill", "slurmctld")
    recipe = "recipes/smoke/sequence-classification.yaml"
    same = ["submit", recipe, "--on", "cpu", "--no-preflight", f"run.dir={job.run_dir}"]
    before = time.monotonic()
    said = cluster.tunesmith(*same, status=2).err
    assert time.monotonic() - before < 40
    assert "the controller may be restarting" in said
    cluster.tell("start", "slurmctld")
    job.waits_for(lambda: job.state() == "RUNNING")
    assert f"job        {job.number}: it is there already" in cluster.tunesmith(*same).out
    job.release()
    job.end()
    assert len(job.starts()) == 1
    assert job.losses() == control
    cluster.wait_until_idle()


def test_an_array_and_what_comes_after_it(cluster, submit, control):
    """Each task has its own run directory; a job that follows starts when all of them have succeeded."""
    array = submit("--array", "optimizer.learning_rate=1e-3,2e-3", name="sweep")
    after = submit("--after", str(array.run_dir), name="after")
    # By then the array is on its way, and the other waits for it.
    assert "(Dependency)" in cluster.tunesmith("status", str(after.run_dir)).out
    tasks = [array.run_dir / f"learning_rate={value}" for value in ("1e-3", "2e-3")]
    after.waits_for(after.starts)
    assert cluster.state(array.number).split() == ["COMPLETED"] * 2
    cluster.ask("scancel", after.number)  # what it would learn is known
    after.end("CANCELLED")
    runs = [type(array)(cluster, f"{array.number}_{n}", run_dir) for n, run_dir in enumerate(tasks)]
    assert runs[1].losses() == control
    assert runs[0].losses() != control
    lines = cluster.tunesmith("status", str(array.run_dir)).out.splitlines()
    assert [line.split()[1] for line in lines[-2:]] == ["completed", "completed"]
    assert f"{array.number}_1 completed" in lines[-1]
    assert "evaluation at step 40" in cluster.tunesmith("logs", str(tasks[1])).out


def test_what_follows_a_cancelled_job_never_runs(cluster, submit):
    first = submit("--sbatch=--hold", name="first")
    second = submit("--after", first.number, name="second")
    cluster.tunesmith("cancel", first.number)
    second.end("CANCELLED")
    assert not second.starts()


KILLER = """\
#!/bin/sh
[ {when} = before ] && kill -9 $PPID && exit
{sbatch} "$@"
[ {when} = after ] && kill -9 $PPID
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.matrix(sample=1)
def test_a_client_that_dies_neither_loses_nor_doubles_a_job(cluster, submit, tmp_path, when):
    real = subprocess.run(
        ["which", "sbatch"], env=cluster.environ, capture_output=True, text=True
    ).stdout.strip()
    fake = tmp_path / "bin" / "sbatch"
    fake.parent.mkdir()
    fake.write_text(KILLER.format(when=when, sbatch=real))
    fake.chmod(0o755)
    with pytest.raises(AssertionError, match=f"status {-signal.SIGKILL}"):
        submit("--sbatch=--hold", PATH=f"{fake.parent}:{cluster.environ['PATH']}")
    there = cluster.ask(
        "squeue", "--noheader", "--name=tunesmith-run", "--states=PENDING", "--format=%i"
    ).split()
    assert len(there) == (when == "after")
    job = submit("--sbatch=--hold")
    once = cluster.ask(
        "squeue", "--noheader", "--name=tunesmith-run", "--states=PENDING", "--format=%i"
    ).split()
    assert once == [job.number]
    assert there in ([], once)
    cluster.tunesmith("cancel", str(job.run_dir))
    job.end("CANCELLED")


def test_restarts_in_vain_come_to_an_end(cluster, submit, tmp_path):
    """A run that always fails is requeued three times; then the job ends with status 1 and says why."""
    dying = "import os, signal\nwords = open('/proc/self/cmdline').read().split('\\0')\n"
    dying += "if 'run' in words and '--on' in words:\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    (tmp_path / "sitecustomize.py").write_text(dying)
    job = submit(PYTHONPATH=str(tmp_path))
    job.end("FAILED")
    assert [start["restart"] for start in job.starts()] == [0, 1, 2, 3]
    assert job.log.count("a fault (status 1); requeued") == 3
    assert "3 restarts have brought no new checkpoint" in job.log


def test_a_mistake_is_not_requeued(cluster, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    text = (SMOKE / "sequence-classification.yaml").read_text()
    (tmp_path / "rows.py").write_bytes((SMOKE / "rows.py").read_bytes())
    recipe.write_text(text)
    words = ["--on", "cpu", "--no-preflight", "--sbatch=--hold", f"run.dir={tmp_path}/run"]
    number = cluster.tunesmith("submit", str(recipe), *words).out.split()[1]
    recipe.write_text(text.replace("learning_rate", "learning_rat"))
    cluster.ask("scontrol", "release", number)
    states = ("COMPLETED", "FAILED")
    deadline = time.monotonic() + 60
    while (state := cluster.state(number)) not in states and time.monotonic() < deadline:
        time.sleep(0.2)
    assert state == "FAILED"
    assert cluster.ask("scontrol", "-o", "show", "job", number).count("ExitCode=2:0 ") == 1
    log = (tmp_path / "run" / "slurm" / f"{number}.out").read_text()
    assert "did you mean `learning_rate`" in log


@pytest.mark.skipif(os.geteuid() != 0, reason="a node with mounts of its own needs root")
def test_a_node_that_does_not_see_the_run_directory(cluster, submit, tmp_path):
    """Named in seconds, and not after the time-out of a rendezvous."""
    cluster.tell("kill", "n2")
    (cluster.folder / "blind").write_text(str(tmp_path))
    cluster.tell("start", "n2")
    try:
        cluster.wait_until_idle()
        job = submit("--nodes", "2", on="cpu_2proc")
        before = time.monotonic()
        job.end("FAILED")
        assert time.monotonic() - before < 30
        assert "the run directory is not seen by `n2`" in job.log
        assert len(job.starts()) == 1
    finally:
        cluster.tell("kill", "n2")
        (cluster.folder / "blind").unlink()
        cluster.tell("start", "n2")
    cluster.wait_until_idle()


@pytest.mark.parametrize(
    ("arguments", "what", "hint"),
    [
        (("--partition", "nowhere"), "invalid partition", "the partitions are `high`, `low`"),
        (("--nodes", "3"), "PartitionNodeLimit", "fewer nodes"),
        (("--time", "2", "--notice", "180"), "leaves no time", "a longer `--time`"),
        (("--time", "soon"), "`--time soon` is no time", "--time 4h"),
        (("--gpus", "2"), "computes on processors", "leave out `--gpus`"),
        (("--after", "nothing"), "no job is known of `nothing`", "a job's number"),
        (("--array", "run.dir=a,b"), "cannot sweep `run.dir`", "--array optimizer"),
        (("--array", "optimizer.learning_rate=1e-3,fast"), "fast", ""),
    ],
)
def test_what_cannot_be_submitted_is_named_in_seconds(cluster, tmp_path, arguments, what, hint):
    recipe = "recipes/smoke/sequence-classification.yaml"
    common = ["--on", "cpu_2proc", "--no-preflight", f"run.dir={tmp_path}/run", "batch.size=24"]
    before = time.monotonic()
    done = cluster.tunesmith("submit", recipe, *common, *arguments, status=2)
    assert time.monotonic() - before < 20
    assert what in done.err.lower() or what in done.err
    assert hint in done.err
    assert "Traceback" not in done.err
    asked_slurm = what in ("invalid partition", "PartitionNodeLimit")
    assert Path(f"{tmp_path}/run/slurm/job.json").exists() is asked_slurm


def test_logs_go_where_the_runs_are_whatever_their_names(cluster, tmp_path):
    """SLURM itself reads the script: each log lies in the run's folder, and no name has added an option."""
    jobs = {}
    for name in ("with space", "per%j%u", "lr%5", "100%", "%%"):
        folder = tmp_path / name / "slurm"
        folder.mkdir(parents=True)
        options = JobOptions(name="odd", output=log_path(folder, "%j.out"), comment='a" --nice=77 "b')
        script = folder / "job.sbatch"
        script.write_text("\n".join(["#!/bin/bash", *option_lines(options), "echo said"]) + "\n")
        number = cluster.ask("sbatch", "--parsable", str(script))
        jobs[folder / f"{number}.out"] = cluster.ask("scontrol", "show", "job", number)
    for log, told in jobs.items():
        deadline = time.monotonic() + 60
        while not (log.is_file() and log.read_text() == "said\n"):
            assert time.monotonic() < deadline, f"no log {log}; there are {list(tmp_path.rglob('*.out'))}"
            time.sleep(0.2)
        assert "Nice=0" in told

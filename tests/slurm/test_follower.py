"""A run whose evaluations are made by a job of their own, on a real SLURM."""

import os
import shutil

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
if any(shutil.which(one, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None for one in PROGRAMS):
    pytest.skip("no SLURM", allow_module_level=True)

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(600)]
FOLLOWER = "eval.mode=follower"


def follower_of(job) -> str:
    """The number of the job that scores beside a run's."""
    from tunesmith.launch.slurm.record import read_submission

    number = read_submission(job.run_dir).follower
    assert number is not None
    return number


def over(cluster, number):
    return cluster.state(number) in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT")


def test_another_job_scores_and_ends_with_the_run(cluster, submit, control):
    job = submit(FOLLOWER)
    follower = follower_of(job)
    assert follower != job.number
    asked = cluster.ask("scontrol", "show", "job", follower)
    assert f"Dependency=after:{job.number}" in asked or "Dependency=(null)" in asked, asked
    job.end()
    job.waits_for(lambda: over(cluster, follower))
    assert cluster.state(follower) == "COMPLETED"
    assert job.losses() == control
    assert [one["step"] for one in job.records("eval")] == [0, 20, 40]
    assert all(one["beside"] for one in job.records("eval"))
    assert job.result()["status"] == "completed"
    log = (job.run_dir / "slurm" / f"follow-{follower}.out").read_text()
    assert [line for line in log.splitlines() if ": scored" in line] == [
        f"step {step}: scored" for step in (0, 20, 40)
    ]


@pytest.mark.long
def test_cancelled_together(cluster, submit):
    job = submit(FOLLOWER)
    follower = follower_of(job)
    job.hold_at(8)
    cluster.tunesmith("cancel", str(job.run_dir))
    job.release()
    job.waits_for(lambda: over(cluster, follower) and over(cluster, job.number))
    assert cluster.state(follower) == cluster.state(job.number) == "CANCELLED"


@pytest.mark.long
def test_a_follower_is_requeued_before_its_time_limit(cluster, submit):
    job = submit(FOLLOWER)
    follower = follower_of(job)
    job.hold_at(8)
    log = job.run_dir / "slurm" / f"follow-{follower}.out"
    job.waits_for(
        lambda: cluster.state(follower) == "RUNNING" and (job.run_dir / "looks" / "scorer.json").exists()
    )
    cluster.ask("scancel", "--batch", "--signal=USR2", follower)
    job.waits_for(lambda: "Restarts=1" in cluster.ask("scontrol", "show", "job", follower))
    job.release()
    job.end()
    job.waits_for(lambda: over(cluster, follower))
    assert cluster.state(follower) == "COMPLETED", log.read_text()
    assert [one["step"] for one in job.records("eval")] == [0, 20, 40]


def test_a_sweep_has_no_follower(cluster, tmp_path):
    recipe = "recipes/smoke/sequence-classification.yaml"
    words = ["submit", recipe, "--on", "cpu", "--no-preflight", "--array", "run.seed=0..1", FOLLOWER]
    done = cluster.tunesmith(*words, f"run.dir={tmp_path / 'run'}", status=2)
    assert "a sweep's runs cannot each have a follower's job" in done.err

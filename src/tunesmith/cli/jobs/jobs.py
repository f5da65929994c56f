"""``tunesmith submit``, ``status``, ``cancel`` and ``logs``: a run as a job of a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.errors import UserError

Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="KEY.PATH=VALUE", help="Changes to the recipe.")
]
Axes = Annotated[
    list[str] | None,
    typer.Option("--array", metavar="KEY=VALUE,VALUE", help="Sweep: a run for each value; may be repeated."),
]

On = Annotated[str, typer.Option("--on", metavar="PROFILE", help="Where to run: a profile's name or file.")]
Limit = Annotated[str | None, typer.Option(help="Limit of one start: 4h, 1-12:00:00. More are queued.")]
Sbatch = Annotated[list[str] | None, typer.Option(help="Any option of sbatch: --sbatch=--mem=64G.")]
Pod = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="Kubernetes: name, runs-claim, secret ...")
]


def submit(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe file.")],
    overrides: Overrides = None,
    *,
    on: On,
    nodes: Annotated[int | None, typer.Option(min=1, help="Default: the profile's machines.")] = None,
    gpus: Annotated[int | None, typer.Option(min=1, help="Of each node; default: the profile's.")] = None,
    cpus: Annotated[int | None, typer.Option(min=1, help="Cores of each node.")] = None,
    time: Limit = None,
    notice: Annotated[int, typer.Option(min=1, help="Save so many seconds before the limit.")] = 180,
    partition: Annotated[str | None, typer.Option(help="Of the cluster.")] = None,
    account: Annotated[str | None, typer.Option(help="Who pays.")] = None,
    qos: Annotated[str | None, typer.Option(help="Quality of service.")] = None,
    array: Axes = None,
    at_once: Annotated[int | None, typer.Option(min=1, help="Most runs of an array at a time.")] = None,
    after: Annotated[list[str] | None, typer.Option(help="A run or job that must have succeeded.")] = None,
    sbatch: Sbatch = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write the script and submit nothing.")] = False,
    preflight: Annotated[bool, typer.Option(help="Look for problems first.")] = True,
    to: Annotated[str, typer.Option(metavar="slurm|kubernetes", help="Which kind of cluster.")] = "slurm",
    image: Annotated[str | None, typer.Option(help="Kubernetes: image with tunesmith in it.")] = None,
    kind: Annotated[str, typer.Option(help="Kubernetes: trainjob or pytorchjob.")] = "trainjob",
    pod: Pod = None,
) -> None:
    """Submit a run to SLURM; the same command again finds its job.

    It is requeued before its time limit, when it is preempted or when a node is lost, until the recipe stops.
    For Kubernetes, --dry-run prints a manifest to be given to `kubectl apply -f -`.
    """
    if to != "slurm":
        from tunesmith.cli.jobs.kubernetes import print_manifest, read_options

        pods = read_options(pod or [], image=image, kind=kind, nodes=nodes, cpus=cpus, time=time)
        print_manifest(to, recipe, overrides or [], on, pods, dry_run=dry_run)
        return
    from tunesmith.cli.jobs.slurm import submit_text
    from tunesmith.launch.slurm.script import JobOptions, read_time
    from tunesmith.launch.slurm.submit import SlurmRequest

    limit = read_time(time)[0] if time is not None else None
    options = JobOptions(
        name="",
        output="",
        comment="",
        gpus=gpus,
        cpus=cpus,
        time=limit,
        notice=notice,
        partition=partition,
        account=account,
        qos=qos,
        at_once=at_once,
        other=tuple(sbatch or ()),
    )
    wanted = SlurmRequest(
        recipe=recipe,
        overrides=overrides or [],
        axes=array or [],
        profile=on,
        options=options,
        nodes=nodes,
        after=after or [],
    )
    typer.echo(submit_text(wanted, dry_run=dry_run, look_first=preflight))


def status(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUN]...", help="Default: all in runs/.")
    ] = None,
) -> None:
    """List runs and their jobs, and how far they are."""
    from tunesmith.launch.runs import find_runs, runs_table, states_of

    if not runs and not Path("runs").is_dir():
        typer.echo("there are no runs here")
        return
    states, problem = states_of(find_runs(runs or [Path("runs")]))
    typer.echo(runs_table(states))
    if problem:
        typer.echo(problem, err=True)


def cancel(
    run_or_job: Annotated[
        str, typer.Argument(metavar="RUN|JOB", help="A run's directory, or a job's number.")
    ],
) -> None:
    """End a run's job; what it has learnt is saved.

    The job is not requeued.
    """
    from tunesmith.launch.runs import batch_job_of
    from tunesmith.launch.slurm.cluster import cancel_job
    from tunesmith.launch.slurm.submit import found_again

    job: str | None = run_or_job
    follower: str | None = None
    if not run_or_job.replace("_", "").isdigit():
        run_dir = Path(run_or_job)
        known = found_again(run_dir)
        follower = known.follower if known is not None else None
        job = batch_job_of(run_dir)
    if job is None:
        hint = (
            "`tunesmith status` lists runs and jobs; a run without a job is ended with Ctrl-C where it runs"
        )
        raise UserError(f"no job is known of `{run_or_job}`", hint=hint)
    cancel_job(job)
    if follower is not None:
        cancel_job(follower)
    typer.echo(f"job {job} is being ended; submit it again to go on")


def logs(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN", help="The directory of a run.")],
    *,
    wait: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job is over.")] = False,
) -> None:
    """Show what a run's job has printed."""
    from tunesmith.launch.runs import batch_job_of, follow_logs, log_of
    from tunesmith.launch.slurm.cluster import my_jobs
    from tunesmith.terminal import log_lines

    log, job = log_of(run_dir), batch_job_of(run_dir)

    def is_over() -> bool:
        if not wait or job is None:
            return True
        states = [one for one in my_jobs([job]) if job in (one.job, one.job.partition("_")[0])]
        return all(one.is_over for one in states)

    for text in log_lines(follow_logs(log, is_over)):
        typer.echo(text, nl=False)


def slurm_job(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe file.")],
    overrides: Overrides = None,
    *,
    array: Axes = None,
) -> None:
    """What slurm/sft.sbatch calls inside a job."""
    from tunesmith.launch.slurm.job import main

    raise typer.Exit(main(recipe, overrides or [], array or []))

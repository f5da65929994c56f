"""The command line: a function a command, heavy imports inside."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tunesmith import __version__, main
from tunesmith.cli import models, requests, rows, views
from tunesmith.cli.jobs import jobs
from tunesmith.cli.messages import guarded
from tunesmith.errors import Exit, UserError

app = typer.Typer(
    name="tunesmith",
    help="Fine-tune until it is good enough, then stop.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Errors end with status 2, faults with 1, a preempted run with 75; run it again to go on.",
)

Recipe = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe file.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="KEY.PATH=VALUE", help="Changes to the recipe.")
]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="The directory of a run.")]


def run() -> None:
    """The ``tunesmith`` program."""
    sys.exit(command_line(sys.argv[1:]))


def command_line(arguments: Sequence[str]) -> int:
    """Carry out a command line; gives the exit status."""

    def act() -> int:
        if arguments and arguments[0].endswith((".yaml", ".yml")):
            hint = f"write `tunesmith run {' '.join(arguments)}`"
            raise UserError(f"`{arguments[0]}` is not a command", hint=hint)
        status = app(args=list(arguments), prog_name="tunesmith", standalone_mode=True)
        return int(status or 0)

    return guarded(act)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tunesmith {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    del version


@app.command("run")
def run_command(
    recipe: Recipe,
    overrides: Overrides = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start again, in a new directory, whatever is there.")
    ] = False,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Go on although recipe or rows have changed.")
    ] = False,
    weights_only: Annotated[
        bool, typer.Option("--weights-only", help="Go on without the optimizer's state.")
    ] = False,
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="PROFILE", help="Launch on a profile: its name, a file, or auto."),
    ] = None,
    processes: Annotated[
        int | None, typer.Option("--processes", min=1, help="In all; default: what the profile says.")
    ] = None,
    hostfile: Annotated[
        Path | None, typer.Option("--hostfile", help="Hosts to run on, over ssh: lines `NAME slots=NUMBER`.")
    ] = None,
    machine: Annotated[
        str | None,
        typer.Option(
            "--machine", metavar="N/M@ADDRESS:PORT", help="Machine N of M, each given this command."
        ),
    ] = None,
) -> None:
    """Train; the same command again goes on.

    Without --on in this process alone. With it the launch command is printed and run.
    """
    flags = {"--fresh": fresh, "--accept-changes": accept_changes, "--weights-only": weights_only}
    arguments = [*(overrides or []), *(flag for flag, given in flags.items() if given)]
    if on is None:
        if processes is not None or hostfile is not None or machine is not None:
            what = "`--processes`, `--hostfile` and `--machine` need a profile"
            raise UserError(what, hint="add `--on PROFILE`")
        main(str(recipe), arguments)
    from tunesmith.cli.messages import outlive_reader
    from tunesmith.launch.local.hosts import parse_machine
    from tunesmith.launch.local.run import Request, run_on

    part = parse_machine(machine) if machine is not None else None
    request = Request(
        recipe=recipe, arguments=arguments, profile=on, processes=processes, hostfile=hostfile, machine=part
    )
    outlive_reader()
    raise typer.Exit(run_on(request))


@app.command()
def plan(
    recipe: Recipe,
    overrides: Overrides = None,
    on: Annotated[
        str | None, typer.Option("--on", metavar="PROFILE", help="A profile: its name, a file, or auto.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", metavar="4x8xH100", help="Machines x devices x type, not of this machine."),
    ] = None,
    table: Annotated[bool, typer.Option("--table", help="1 to 512 devices, and what bounds each.")] = False,
) -> None:
    """Print what would be trained, in what memory, and how long.

    Steps, tokens, memory at every ZeRO stage, traffic, the recommended profile and the command.
    Nothing is loaded.
    """
    gc.disable()  # importing torch makes a million objects that stay; looking through them takes a tenth
    _checked(recipe, overrides)
    from tunesmith.cli.plan import plan_text

    typer.echo(plan_text(recipe, overrides or [], on=on, cluster=cluster, whole_table=table))


@app.command()
def preview(
    recipe: Recipe,
    overrides: Overrides = None,
    rows: Annotated[int, typer.Option("--rows", "-n", min=1, help="How many rows to show.")] = 3,
) -> None:
    """Show rows as the model will see them.

    Special tokens and blanks are visible, and tokens that carry loss are marked.
    """
    import os

    _checked(recipe, overrides)
    from tunesmith.cli.messages import wants_colour
    from tunesmith.cli.preview import render
    from tunesmith.prepare.preview import preview_rows
    from tunesmith.terminal import drawing

    shown, classes, notes = preview_rows(recipe, overrides or [], rows)
    for line in classes:
        typer.echo(f"classes {line}")
    colour = wants_colour(sys.stdout, os.environ)
    typer.echo(render(shown, colour=colour), file=drawing(sys.stdout), color=True)
    for note in notes:
        typer.echo(note, err=True)


@app.command()
def check(recipe: Recipe, overrides: Overrides = None) -> None:
    """Say everything that is wrong with a recipe.

    Of its data the first rows are read, of its model the configuration: no weights, no training.
    """
    from tunesmith.cli.check import check_file

    said, notes = check_file(recipe, overrides or [])
    typer.echo(said)
    for note in notes:
        typer.echo(note, err=True)


@app.command()
def tasks() -> None:
    """List the tasks, what rows each needs, and its metrics."""
    from tunesmith.cli.tasks import tasks_text

    typer.echo(tasks_text())


@app.command()
def schema(
    task: Annotated[str | None, typer.Argument(metavar="[TASK]", help="Only its settings.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a reference for people.")] = False,
) -> None:
    """Print the JSON schema of a recipe, for editors.

    With --markdown every key with its meaning and an example, for people.
    """
    import json

    if markdown:
        from tunesmith.recipe.reference import reference_text

        typer.echo(reference_text(), nl=False)
        return
    from tunesmith.cli.tasks import task_schema
    from tunesmith.recipe.json_schema import recipe_schema

    typer.echo(json.dumps(recipe_schema() if task is None else task_schema(task), indent=2))


@app.command()
def init(
    template: Annotated[
        str | None, typer.Argument(metavar="[TEMPLATE]", help="Which recipe to start from.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Your rows; the recipe is fitted to them.")] = None,
    out: Annotated[Path | None, typer.Option(help="The file to write; default: TEMPLATE.yaml.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Start a recipe from a shipped one.

    With --data, it is fitted to your rows. Without arguments, the shipped recipes are listed.
    """
    from tunesmith.cli.init.init import start_recipe

    typer.echo(start_recipe(template, data, out, force=force))


@app.command()
def launchable(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The recipe; it is changed in place.")],
) -> None:
    """Let `accelerate launch FILE` run it.

    Adds a first and a last line that make the recipe a Python program too.
    """
    from tunesmith.cli.check import make_file_launchable

    typer.echo(make_file_launchable(file))


@app.command()
def doctor(
    recipe: Annotated[Path | None, typer.Argument(metavar="[RECIPE]", help="The recipe to be run.")] = None,
    on: Annotated[str | None, typer.Option("--on", metavar="PROFILE", help="Where it would run.")] = None,
    hostfile: Annotated[Path | None, typer.Option(help="Machines reached by ssh.")] = None,
) -> None:
    """Look for what would make a run fail here.

    Versions, compiler, devices, network, disks, clocks and limits; each finding has its remedy. Takes less
    than 20 seconds. Status 2 if there is a problem.
    """
    from tunesmith.cli.doctor import diagnose

    text, sick = diagnose(recipe, on, hostfile)
    typer.echo(text)
    if sick:
        raise typer.Exit(Exit.USER)


app.command()(models.chat)
app.command()(models.generate)
app.command()(models.evaluate)
app.command()(jobs.submit)
app.command()(jobs.status)
app.command()(jobs.cancel)
app.command()(jobs.logs)
app.command("slurm-job", hidden=True)(jobs.slurm_job)


@app.command()
def report(run_dir: Run) -> None:
    """Write a run's report.html again from its files."""
    from tunesmith.report.page import write_report

    typer.echo(str(write_report(run_dir)))


app.command()(rows.rows)
app.command()(requests.save)
app.command()(requests.stop)
app.command()(views.compare)
app.command()(views.watch)
app.command()(views.follow)
app.command()(views.ui)


def _checked(recipe: Path, overrides: list[str] | None) -> None:
    """A mistake in the recipe is reported before anything heavy is imported."""
    from tunesmith.recipe.load import load_recipe

    load_recipe(recipe, overrides or [])

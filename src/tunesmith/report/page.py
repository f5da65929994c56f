"""One self-contained HTML page from the files of a run directory."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from importlib import resources as package_files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tunesmith.report.charts.drawing import drawn_rows
from tunesmith.report.errors.remaining import remaining
from tunesmith.report.run_files import RunFiles, read_run
from tunesmith.report.sections.confusion import confusion
from tunesmith.report.sections.cost import bill
from tunesmith.report.sections.data import data_section
from tunesmith.report.sections.flips import flips
from tunesmith.report.sections.resources import facts, reproduce, tables
from tunesmith.report.sections.results import fewer_rows, figures, gains
from tunesmith.report.sections.samples import previews
from tunesmith.report.sections.selection import chosen_by, classes, without_model
from tunesmith.report.sections.slices import slices
from tunesmith.report.sections.test_split import averages, test_split
from tunesmith.report.sections.variants import variants
from tunesmith.report.sections.verdicts import verdicts
from tunesmith.report.summary import summarise_run

MOST_RECIPE = 100_000


def render_page(run_dir: Path) -> str:
    """The page of a run in whatever state it is: going, finished, preempted or failed.

    The page needs no network and no script: a content security policy refuses both, but for the one
    small script that stands in it, named by its hash. All text from the run is escaped.

    Args:
        run_dir: the run directory; files that are not there yet become sections that are not there.

    Raises:
        UserError: if ``run_dir`` is not a run directory.
    """
    run = read_run(run_dir)
    script = packaged("page.js")
    template = environment().get_template("page.html.j2")
    return str(
        template.render(
            style=Markup(packaged("page.css")),
            script=Markup(script),
            policy=Markup(policy()),
            **_sections(run),
        )
    )


def write_report(run_dir: Path) -> Path:
    """Write ``report.html`` into a run directory, whole or not at all, and return its path.

    Raises:
        UserError: if ``run_dir`` is not a run directory.
    """
    from tunesmith.checkpoint.atomic import write_text

    path = run_dir / "report.html"
    write_text(path, render_page(run_dir))
    return path


def _sections(run: RunFiles) -> dict[str, Any]:
    return {
        "name": run.name,
        "task": run.recipe.get("task", ""),
        "problems": run.problems,
        "story": summarise_run(run),
        "facts": facts(run),
        "kept": "kept model" if run.result else "best so far",
        "gains": gains(run),
        "fewer_rows": fewer_rows(run),
        "chosen_by": chosen_by(run),
        "without_model": without_model(run),
        "classes": classes(run),
        "tested": test_split(run),
        "averages": averages(run),
        "figures": figures(run),
        "verdicts": verdicts(run),
        "bill": bill(run),
        "slices": slices(run),
        "remaining": remaining(run.scores or ()),
        "flips": flips(run),
        "variants": variants(run),
        "confusion": confusion(run),
        "data": data_section(run),
        "previews": previews(run),
        "drawn": drawn_rows(run.drawings or {}),
        "tables": tables(run),
        "plan": run.plan.rstrip(),
        "recipe": run.recipe_text[:MOST_RECIPE].rstrip(),
        "reproduce": reproduce(run),
    }


def policy() -> str:
    """What a browser may load for the page: nothing, but for its own styles and its one script."""
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src '{_csp_hash(packaged('page.js'))}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


@lru_cache(maxsize=1)
def environment() -> Any:
    """Jinja, with everything escaped: the templates that stand beside this file, each compiled once."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(packaged),
    )


def packaged(name: str) -> str:
    """A file that stands beside this one, or in a folder there."""
    return package_files.files("tunesmith.report").joinpath(name).read_text(encoding="utf-8")


def _csp_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"

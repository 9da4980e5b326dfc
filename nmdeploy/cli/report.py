"""`nmdeploy report`: what a bundle says about itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nmdeploy.cli.console import say, write_text
from nmdeploy.cli.options import existing_file, new_file

if TYPE_CHECKING:
    from nmdeploy.cost import Cost


@click.command("report")
@click.argument("bundle", type=existing_file)
@click.option("--format", "form", default="text", show_default=True, type=click.Choice(["text", "markdown", "json"]))
@click.option(
    "--pj-per-operation", type=float, help="Your own energy of a synaptic operation, where none is published."
)
@click.option("--static-mw", type=float, default=0.0, help="With it: your own static power of the chip.")
@click.option("--out", "-o", type=new_file, help="Write to a file instead of the terminal.")
def report_command(bundle: Path, form: str, pj_per_operation: float | None, static_mw: float, out: Path | None) -> None:
    """Print the report of BUNDLE: accuracy by stage, cores, memory, activity, warnings."""
    from nmdeploy.bundle import load
    from nmdeploy.errors import UsageError
    from nmdeploy.report import build_report, render_json, render_markdown, render_text

    render = {"text": render_text, "markdown": render_markdown, "json": render_json}[form]
    report = build_report(load(bundle))
    if pj_per_operation is not None:
        report = replace(report, cost=_with_own(report.cost, pj_per_operation, static_mw, bundle))
    elif static_mw:
        raise UsageError("--static-mw needs --pj-per-operation")
    text = render(report)
    if out is None:
        say(text)
    else:
        write_text(out, text)
        say(f"written: {out}")


def _with_own(cost: Cost | None, pj_per_operation: float, static_mw: float, bundle: Path) -> Cost:
    """The bundle's cost with the user's coefficients."""
    from nmdeploy.cost import with_coefficients
    from nmdeploy.errors import UsageError

    if cost is None:
        hint = "convert with labelled samples, which are run to count events"
        raise UsageError("the bundle holds no counted events", where=str(bundle), hint=hint)
    return with_coefficients(cost, pj_per_operation * 1e-12, static_mw * 1e-3)

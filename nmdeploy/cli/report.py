"""`nmdeploy report`: what a bundle says about itself."""

from __future__ import annotations

from pathlib import Path

import click

from nmdeploy.cli.console import say, write_text
from nmdeploy.cli.options import existing_file, new_file


@click.command("report")
@click.argument("bundle", type=existing_file)
@click.option("--format", "form", default="text", show_default=True, type=click.Choice(["text", "markdown", "json"]))
@click.option("--out", "-o", type=new_file, help="Write to a file instead of the terminal.")
def report_command(bundle: Path, form: str, out: Path | None) -> None:
    """Print the report of BUNDLE: accuracy by stage, cores, memory, activity, warnings."""
    from nmdeploy.bundle import load
    from nmdeploy.report import build_report, render_json, render_markdown, render_text

    render = {"text": render_text, "markdown": render_markdown, "json": render_json}[form]
    text = render(build_report(load(bundle)))
    if out is None:
        say(text)
    else:
        write_text(out, text)
        say(f"written: {out}")

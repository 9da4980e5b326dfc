"""`nmdeploy diff`: what changed from one bundle to another."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nmdeploy.cli.console import say, write_text
from nmdeploy.cli.options import existing_file, new_file

if TYPE_CHECKING:
    from nmdeploy.harness.diff import Tolerance

_TOLERANCE = re.compile(r"(?P<name>[a-z]+)=(?P<amount>\d+(\.\d*)?)(?P<percent>%?)")


@click.command("diff")
@click.argument("before", type=existing_file)
@click.argument("after", type=existing_file)
@click.option(
    "--tolerance",
    "tolerances",
    multiple=True,
    metavar="MEASURE=AMOUNT[%]",
    help="How much worse accuracy (in points), cores, memory, energy, time, steps, operations may get; repeatable.",
)
@click.option("--format", "form", type=click.Choice(["text", "markdown", "json"]), default="text", show_default=True)
@click.option("--out", "-o", type=new_file, help="Write it to a file instead.")
def diff_command(before: Path, after: Path, tolerances: tuple[str, ...], form: str, out: Path | None) -> None:
    """Show what changed from bundle BEFORE to bundle AFTER: structure, parameters, cores, memory, accuracy, energy.

    Exits with 1 when a measure got worse by more than its tolerance.
    """
    from nmdeploy.bundle import load
    from nmdeploy.errors import CheckFailed
    from nmdeploy.harness.diff import diff
    from nmdeploy.harness.diff_text import diff_json, diff_markdown, diff_text

    allowed = dict(_tolerance(text) for text in tolerances)
    found = diff(load(before), load(after), allowed)
    text = {"text": diff_text, "markdown": diff_markdown, "json": diff_json}[form](found)
    if out is None:
        say(text)
    else:
        write_text(out, text)
        say(f"written: {out}")
    if found.exceeded:
        names = ", ".join(dict.fromkeys(change.measure for change in found.exceeded))
        raise CheckFailed("worse than allowed", where=str(after), found=names)


def _tolerance(text: str) -> tuple[str, Tolerance]:
    from nmdeploy.errors import UsageError
    from nmdeploy.harness.diff import Tolerance

    match = _TOLERANCE.fullmatch(text)
    if match is None:
        raise UsageError("no tolerance", where="--tolerance", found=text, limit="accuracy=0.5 or energy=5%")
    return match["name"], Tolerance(float(match["amount"]), bool(match["percent"]))

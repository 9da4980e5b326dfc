"""`nmdeploy targets` and `nmdeploy conformance`: the chips, and whether their arithmetic is the vendor's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nmdeploy.cli.console import say
from nmdeploy.errors import CheckFailed, UsageError

if TYPE_CHECKING:
    from nmdeploy.target import Chip, Target


@click.command("targets")
@click.option("--figures", is_flag=True, help="Every limit and coefficient with its source.")
def targets_command(figures: bool) -> None:
    """List the chips that networks can be deployed to."""
    from nmdeploy.registry import broken_targets, targets
    from nmdeploy.report.summary import table

    known = targets()
    rows = [
        (f"{target.name}:{chip.name}", chip.title, ", ".join(target.profiles(chip)), _schemes(target, chip), chip.soma)
        for target in known.values()
        for chip in target.chips().values()
    ]
    say(table(("name", "chip", "profiles", "scales", "neuron"), rows) if rows else "no targets are installed")
    if figures:
        for target in known.values():
            for chip in target.chips().values():
                say(f"\n{chip.title}")
                say(
                    table(
                        ("figure", "value", "unit", "status", "source"),
                        [(name, f"{f.value:g}", f.unit, f.status.value, f.source) for name, f in chip.figures.items()],
                    )
                )
    for name, reason in broken_targets().items():
        say(f"target {name} cannot be loaded: {reason}")


def _schemes(target: Target, chip: Chip) -> str:
    """The family's own ways to find integer scales."""
    return ", ".join(target.quantizers(chip, target.profiles(chip)[0])) or "-"


@click.command("conformance")
@click.argument("target")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--profile", default=None, help="Semantics to replay under; default: the target's own.")
def conformance_command(target: str, paths: tuple[Path, ...], profile: str | None) -> None:
    """Replay the vendor's recorded vectors (files or folders) through a chip's emulator.

    Exits with 0 only when every recorded integer is met.
    """
    from nmdeploy.registry import targets

    known = targets()
    if target not in known:
        raise UsageError("unknown target", found=repr(target), limit=", ".join(known) or "none")
    report = known[target].conformance(paths, profile)
    for reason in report.skipped:
        say(f"skipped: {reason}")
    for mismatch in report.first:
        say(str(mismatch))
    values = f"{report.values} values without a step, " if report.values else ""
    say(
        f"{report.target}/{report.profile}: {report.files} files, {report.nets} nets, "
        f"{report.neuron_steps} neuron-steps, {values}{report.mismatches} mismatches (emulated)"
    )
    if not report.passed:
        raise CheckFailed("the emulator does not meet the recorded vectors", found=f"{report.mismatches} mismatches")

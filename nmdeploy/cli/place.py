"""`nmdeploy map`: where a bundle's network lies on its chips, or would lie on others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nmdeploy.cli.console import progress, say
from nmdeploy.cli.options import existing_file, new_file

if TYPE_CHECKING:
    from nmdeploy.deployment import Deployment


@click.command("map")
@click.argument("bundle", type=existing_file)
@click.option("--target", help="Another chip, as in `nmdeploy targets`; default: the bundle's own.")
@click.option("--chips", type=click.IntRange(1), help="Map to this many chips.")
@click.option("--smallest", is_flag=True, help="Map to as few chips as the mapper needs, and say how many.")
@click.option("--out", "-o", type=new_file, help="Write the new deployment; needs --target, --chips or --smallest.")
@click.option("--cores", is_flag=True, help="Every core, not only a line for each population.")
def map_command(
    bundle: Path, target: str | None, chips: int | None, smallest: bool, out: Path | None, cores: bool
) -> None:
    """Show the cores and memories of BUNDLE, or map its network to other chips.

    Exits with 3 and every violation when the network does not fit.
    """
    from nmdeploy.bundle import load, save
    from nmdeploy.deployment import remap
    from nmdeploy.errors import UsageError
    from nmdeploy.report import placement_table

    if chips is not None and smallest:
        raise UsageError("--chips and --smallest exclude each other")
    anew = smallest or chips is not None
    if out is not None and target is None and not anew:
        raise UsageError("--out writes a new deployment", hint="ask for one with --target, --chips or --smallest")
    deployment = load(bundle)
    wanted = None if smallest else chips or 1
    if target is not None:
        deployment = _on(target, deployment, wanted, bundle)
    elif anew:
        deployment = remap(deployment, wanted)
    if smallest:
        say(f"smallest number of chips found: {deployment.placement.chip_count}\n")
    say(placement_table(deployment, every_core=cores))
    if out is not None:
        save(deployment, out)
        say(f"\nwritten: {out}")


def _on(target: str, deployment: Deployment, chips: int | None, bundle: Path) -> Deployment:
    """The bundle's float network, quantized and mapped for another chip."""
    from nmdeploy.errors import UsageError
    from nmdeploy.pipeline import Recipe, place
    from nmdeploy.registry import chip

    if deployment.source is None:
        raise UsageError("the bundle does not hold its float network", where=str(bundle), hint="convert the model anew")
    recipe = Recipe.from_provenance(deployment.provenance)
    return place(deployment.source, chip(target), recipe, progress, chips=chips)[1]

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
@click.option("--mapper", help="Map by another mapper of the target's (dynapcnn: sinabs, for its core numbers).")
@click.option("--smallest", is_flag=True, help="Map to as few chips as the mapper needs, and say how many.")
@click.option(
    "--out", "-o", type=new_file, help="Write the new deployment; needs --target, --chips, --mapper or --smallest."
)
@click.option("--cores", is_flag=True, help="Every core, not only a line for each population.")
@click.option("--vendor", is_flag=True, help="Map with the vendor's own software too, and compare what it would load.")
@click.option(
    "--vendor-python",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Python that has the vendor's software; default: this one.",
)
def map_command(
    bundle: Path,
    target: str | None,
    chips: int | None,
    mapper: str | None,
    smallest: bool,
    out: Path | None,
    cores: bool,
    vendor: bool,
    vendor_python: Path | None,
) -> None:
    """Show the cores and memories of BUNDLE, or map its network to other chips.

    Exits with 3 and every violation when the network does not fit; with --vendor, with 1 where the vendor's
    software would load anything else.
    """
    from nmdeploy.bundle import load, save
    from nmdeploy.deployment import remap
    from nmdeploy.errors import UsageError
    from nmdeploy.report import placement_table

    if chips is not None and smallest:
        raise UsageError("--chips and --smallest exclude each other")
    anew = smallest or chips is not None or mapper is not None
    if out is not None and target is None and not anew:
        raise UsageError(
            "--out writes a new deployment", hint="ask for one with --target, --chips, --mapper or --smallest"
        )
    deployment = load(bundle)
    wanted = None if smallest else chips or 1
    if target is not None:
        deployment = _on(target, deployment, wanted, bundle)
    if mapper is not None or (anew and target is None):
        deployment = remap(deployment, wanted, mapper)
    if smallest:
        say(f"smallest number of chips found: {deployment.placement.chip_count}\n")
    say(placement_table(deployment, every_core=cores))
    if out is not None:
        save(deployment, out)
        say(f"\nwritten: {out}")
    if vendor or vendor_python is not None:
        _compare_with_vendor(deployment, vendor_python)


def _compare_with_vendor(deployment: Deployment, python: Path | None) -> None:
    """Print what the vendor's mapper makes of a deployment, and every difference."""
    from nmdeploy.backend import RunSettings
    from nmdeploy.errors import CheckFailed, UsageError
    from nmdeploy.registry import targets
    from nmdeploy.report.summary import table

    target = targets().get(deployment.target)
    if target is None:
        raise UsageError("the chip family is not installed", where=deployment.target)
    made = target.vendor_map(deployment, RunSettings(python=python))
    say(f"\n{made.software}; nothing has run")
    say(table(("what", "how many", "unit"), [(what, f"{count:g}", unit) for what, count, unit in made.facts]))
    say(f"{made.compared} words that would be loaded, compared with ours: {len(made.differences)} differences")
    for difference in made.differences:
        say(f"  {difference}")
    if made.differences:
        raise CheckFailed(f"{made.software} would load something else", where=deployment.network.name)


def _on(target: str, deployment: Deployment, chips: int | None, bundle: Path) -> Deployment:
    """The bundle's float network, quantized and mapped for another chip."""
    from nmdeploy.errors import UsageError
    from nmdeploy.pipeline import Recipe, place
    from nmdeploy.registry import chip

    if deployment.source is None:
        raise UsageError("the bundle does not hold its float network", where=str(bundle), hint="convert the model anew")
    recipe = Recipe.from_provenance(deployment.provenance)
    return place(deployment.source, chip(target), recipe, progress, chips=chips)[1]

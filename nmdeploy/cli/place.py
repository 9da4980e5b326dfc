"""`nmdeploy map`: where a bundle's network lies on its chip, or would lie on another."""

from __future__ import annotations

from pathlib import Path

import click

from nmdeploy.cli.console import progress, say
from nmdeploy.cli.options import existing_file, new_file


@click.command("map")
@click.argument("bundle", type=existing_file)
@click.option("--target", help="Another chip, as in `nmdeploy targets`; default: the bundle's own.")
@click.option("--out", "-o", type=new_file, help="Write the new deployment; needs --target.")
@click.option("--cores", is_flag=True, help="Every core, not only a line for each population.")
def map_command(bundle: Path, target: str | None, out: Path | None, cores: bool) -> None:
    """Show the cores and memories of BUNDLE, or map its network to another chip.

    Exits with 3 and every violation when the network does not fit.
    """
    from nmdeploy.bundle import load, save
    from nmdeploy.errors import UsageError
    from nmdeploy.pipeline import Recipe, place
    from nmdeploy.registry import chip
    from nmdeploy.report import placement_table

    deployment = load(bundle)
    if target is not None:
        if deployment.source is None:
            raise UsageError(
                "the bundle does not hold its float network", where=str(bundle), hint="convert the model anew"
            )
        recipe = Recipe.from_provenance(deployment.provenance)
        _, deployment = place(deployment.source, chip(target), recipe, progress)
    elif out is not None:
        raise UsageError("--out writes a new deployment", hint="name the chip with --target")
    say(placement_table(deployment, every_core=cores))
    if out is not None:
        save(deployment, out)
        say(f"\nwritten: {out}")

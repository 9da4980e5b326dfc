"""`nmdeploy bench`: how fast this machine emulates a bundle, and where the time goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nmdeploy.cli.console import progress, say
from nmdeploy.cli.options import existing_file

if TYPE_CHECKING:
    from nmdeploy.emulator.run import Engine


@click.command("bench")
@click.argument("bundle", type=existing_file)
@click.option("--images", default=100, show_default=True, type=click.IntRange(1), help="Images in each run.")
@click.option("--repeats", default=5, show_default=True, type=click.IntRange(1), help="Timed runs.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="Threads over images.")
@click.option(
    "--engine",
    default="fast",
    show_default=True,
    type=click.Choice(["fast", "compiled", "numpy"]),
    help="Which engine; fast is the compiled one where it was built.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, 1),
    help="Random inputs with this share of values that are not 0; default: the bundle's test vectors.",
)
@click.option("--steps", type=click.IntRange(1), help="Random inputs of so many steps.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of random inputs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, numbers unrounded.")
def bench_command(
    bundle: Path,
    images: int,
    repeats: int,
    threads: int,
    engine: Engine,
    rate: float | None,
    steps: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Measure how fast this machine emulates BUNDLE, layer by layer.

    The inputs are the bundle's test vectors, repeated; without them, or with --rate or
    --steps, seeded random spikes. Output spikes are checked before anything is timed;
    exits with 1 if one differs.
    """
    from nmdeploy.bench import as_plain, bench, render_bench
    from nmdeploy.bundle import load

    deployment = load(bundle)
    with progress("measuring") as advance:
        measured = bench(
            deployment,
            images=images,
            repeats=repeats,
            threads=threads,
            engine=engine,
            rate=rate,
            steps=steps,
            seed=seed,
            progress=advance,
        )
    say(json.dumps(as_plain(measured), indent=2, sort_keys=True) if as_json else render_bench(measured))

"""`nmdeploy demo`: the whole path on real images, in under a minute."""

from __future__ import annotations

import time
from pathlib import Path

import click

from nmdeploy.cli.console import progress, say, write_text
from nmdeploy.cli.options import existing_file, new_file


@click.command("demo")
@click.option("--data", type=existing_file, help="Images as .npz (such as mnist.npz) instead of scikit-learn's digits.")
@click.option("--target", default="loihi1", show_default=True, help="Chip, as in `nmdeploy targets`.")
@click.option("--steps", default=16, show_default=True, type=click.IntRange(1), help="Input steps of one inference.")
@click.option("--seed", default=0, show_default=True, help="Seeds weights, order and subsets.")
@click.option("--out", "-o", default="demo.nmd", show_default=True, type=new_file, help="Bundle to write.")
def demo_command(data: Path | None, target: str, steps: int, seed: int, out: Path) -> None:
    """Train a small CNN, convert it, map it to a chip, emulate it and write bundle and report."""
    from nmdeploy.bundle import save
    from nmdeploy.demo.run import demo_recipe, run_demo
    from nmdeploy.registry import chip
    from nmdeploy.report import build_report, render_text

    start = time.perf_counter()
    deployment = run_demo(data, chip(target), demo_recipe(steps, seed), progress)
    save(deployment, out)
    report = out.with_suffix(".txt")
    text = render_text(build_report(deployment))
    write_text(report, text)
    say(text)
    say(f"\nwritten: {out} and {report} after {time.perf_counter() - start:.1f} s (measured)")

"""`nmdeploy run` and `nmdeploy test`: run a bundle on data, or on its own test vectors."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import click

from nmdeploy.cli.backends import EMULATOR, backend_options, chosen_backend
from nmdeploy.cli.console import progress, say
from nmdeploy.cli.options import existing_file, new_file


@click.command("run")
@click.argument("bundle", type=existing_file)
@click.option("--data", required=True, type=existing_file, help="Samples as .npz.")
@click.option("--samples", type=click.IntRange(1), help="Only the first so many.")
@click.option("--steps", type=click.IntRange(1), help="Input steps; default: the bundle's.")
@click.option("--out", "-o", type=new_file, help="Write labels, scores and ties as .npz.")
@backend_options
def run_command(
    bundle: Path, data: Path, samples: int | None, steps: int | None, out: Path | None, on: str, **where: Any
) -> None:
    """Run BUNDLE on samples, bit by bit, and print its decisions' accuracy."""
    import numpy as np

    from nmdeploy.bundle import load
    from nmdeploy.bundle.atomic import write_replacing
    from nmdeploy.cost import modelled_cost
    from nmdeploy.data import load_samples
    from nmdeploy.inference import infer
    from nmdeploy.report import Accuracy, cost_line

    deployment = load(bundle)
    given = load_samples(data, "test", deployment.network.inputs[0].shape).first(samples)
    backend = chosen_backend(deployment, on, **where)
    with progress("emulating" if backend is None else "running") as advance:
        outcome = infer(deployment, given.x, steps=steps, backend=backend, progress=advance)
    result, decision = outcome.result, outcome.decision
    spikes = sum(int(total.sum()) for total in result.total_spikes.values()) / result.samples
    operations = sum(int(total.sum()) for total in result.synaptic_operations.values()) / result.samples
    counted = "emulated" if backend is None else result.origin
    say(f"{result.samples} samples, {result.steps} steps each, {result.origin}, profile {deployment.profile.name}")
    if result.synaptic_operations:  # a board tells its output spikes only
        say(f"per inference: {spikes:.1f} spikes, {operations:.1f} synaptic operations ({counted})")
    cost = modelled_cost(deployment, given.x, steps)
    if cost is not None:
        say(cost_line(cost))
    if given.y is not None:
        kind = "measured" if on == "board" else "emulated"
        say(str(Accuracy.of("chip" if backend is None else on, decision, given.y, kind, result.steps)))
    if out is not None:
        packed = io.BytesIO()
        np.savez_compressed(packed, labels=decision.labels, scores=decision.scores, tied=decision.tied)
        write_replacing(out, packed.getvalue())
        say(f"written: {out}")


@click.command("test")
@click.argument("bundle", type=existing_file)
@backend_options
def test_command(bundle: Path, on: str, **where: Any) -> None:
    """Replay the test vectors that BUNDLE carries, and compare every integer; exits with 1 on any difference."""
    from nmdeploy.bundle import load, replay
    from nmdeploy.errors import CheckFailed

    deployment = load(bundle)
    backend = chosen_backend(deployment, on, **where)
    with progress("replaying") as advance:
        report = replay(deployment, backend, advance)
    say(str(report))
    if not report.passed:
        runner = "the emulator" if on == EMULATOR else f"what was {report.origin}"
        raise CheckFailed(f"{runner} does not meet the bundle's test vectors", where=str(bundle))

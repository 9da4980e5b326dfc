"""`nmdeploy run` and `nmdeploy test`: emulate a bundle on data, or on its own test vectors."""

from __future__ import annotations

import io
from pathlib import Path

import click

from nmdeploy.cli.console import progress, say
from nmdeploy.cli.options import existing_file, new_file


@click.command("run")
@click.argument("bundle", type=existing_file)
@click.option("--data", required=True, type=existing_file, help="Samples as .npz.")
@click.option("--samples", type=click.IntRange(1), help="Only the first so many.")
@click.option("--steps", type=click.IntRange(1), help="Input steps; default: the bundle's.")
@click.option("--out", "-o", type=new_file, help="Write labels, scores and ties as .npz.")
def run_command(bundle: Path, data: Path, samples: int | None, steps: int | None, out: Path | None) -> None:
    """Emulate BUNDLE bit by bit on samples and print its decisions' accuracy."""
    import numpy as np

    from nmdeploy.bundle import load
    from nmdeploy.bundle.atomic import write_replacing
    from nmdeploy.data import load_samples
    from nmdeploy.inference import infer
    from nmdeploy.report.figures import Accuracy

    deployment = load(bundle)
    given = load_samples(data, "test", deployment.network.inputs[0].shape).first(samples)
    with progress("emulating") as advance:
        outcome = infer(deployment, given.x, steps=steps, progress=advance)
    result, decision = outcome.result, outcome.decision
    spikes = sum(int(total.sum()) for total in result.total_spikes.values()) / result.samples
    operations = sum(int(total.sum()) for total in result.synaptic_operations.values()) / result.samples
    say(f"{result.samples} samples, {result.steps} steps each, {result.origin}, profile {deployment.profile.name}")
    say(f"per inference: {spikes:.1f} spikes, {operations:.1f} synaptic operations (emulated)")
    if given.y is not None:
        say(str(Accuracy.of("chip", decision, given.y, "emulated", result.steps)))
    if out is not None:
        packed = io.BytesIO()
        np.savez_compressed(packed, labels=decision.labels, scores=decision.scores, tied=decision.tied)
        write_replacing(out, packed.getvalue())
        say(f"written: {out}")


@click.command("test")
@click.argument("bundle", type=existing_file)
def test_command(bundle: Path) -> None:
    """Replay the test vectors that BUNDLE carries on the emulator; exits with 1 on any difference."""
    from nmdeploy.bundle import load, replay
    from nmdeploy.errors import CheckFailed

    report = replay(load(bundle))
    say(str(report))
    if not report.passed:
        raise CheckFailed("the emulator does not meet the bundle's test vectors", where=str(bundle))

"""`nmdeploy run`: run a bundle on data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nmdeploy.cli.backends import backend_options, chosen_runner
from nmdeploy.cli.console import progress, say
from nmdeploy.cli.options import existing_file, new_file
from nmdeploy.errors import UsageError

if TYPE_CHECKING:
    from nmdeploy.data import Samples
    from nmdeploy.deployment import Deployment
    from nmdeploy.emulator.result import Result
    from nmdeploy.inference import Inference


@click.command("run")
@click.argument("bundle", type=existing_file)
@click.option("--data", required=True, type=existing_file, help="Samples as .npz.")
@click.option("--samples", type=click.IntRange(1), help="Only the first so many.")
@click.option("--steps", type=click.IntRange(1), help="Input steps; default: the bundle's.")
@click.option("--orders", type=click.IntRange(2), help="Run so many candidate orders of events; print the spread.")
@click.option("--out", "-o", type=new_file, help="Write labels, scores and ties (and the spread) as .npz.")
@backend_options("emulator")
def run_command(
    bundle: Path,
    data: Path,
    samples: int | None,
    steps: int | None,
    orders: int | None,
    out: Path | None,
    on: str,
    **where: Any,
) -> None:
    """Run BUNDLE on samples, bit by bit, and print its decisions' accuracy."""
    from nmdeploy.bundle import load
    from nmdeploy.bundle.atomic import write_replacing
    from nmdeploy.cost import counted_samples
    from nmdeploy.data import load_samples, npz_bytes
    from nmdeploy.inference import infer
    from nmdeploy.report import Accuracy
    from nmdeploy.report.figures import Kind

    deployment = load(bundle)
    given = load_samples(data, "test", deployment.network.inputs[0].shape).first(samples)
    runner = chosen_runner(deployment, on, **where)
    emulated = runner.backend is None
    if orders is not None and not emulated:
        raise UsageError("candidate orders are for the emulator", where="--orders", found=f"--on {on}")
    kept = counted_samples(deployment, steps) if emulated else 0
    with progress("emulating" if emulated else "running") as advance:
        outcome = infer(deployment, given.x, steps=steps, every_spike_of=kept, backend=runner.backend, progress=advance)
    decision = outcome.decision
    _say_result(outcome.result, deployment.profile.name, emulated)
    if emulated:
        _say_exactness(deployment, given)
    for remark in outcome.result.remarks:
        say(f"reported: {remark}")
    _say_cost(deployment, outcome, given, steps)
    if given.y is not None:
        stage = "chip" if emulated else runner.on
        say(str(Accuracy.of(stage, decision, given.y, Kind(runner.kind), outcome.result.steps)))
    content = {"labels": decision.labels, "scores": decision.scores, "tied": decision.tied}
    if orders is not None:
        content |= _say_spread(deployment, given, orders, steps)
    if out is not None:
        write_replacing(out, npz_bytes(content))
        say(f"written: {out}")


def _say_result(result: Result, profile: str, emulated: bool) -> None:
    """Print what ran, and how much it did."""
    say(f"{result.samples} samples, {result.steps} steps each, {result.origin}, profile {profile}")
    if result.synaptic_operations:  # a board tells its output spikes only
        spikes = sum(int(total.sum()) for total in result.total_spikes.values()) / result.samples
        operations = sum(int(total.sum()) for total in result.synaptic_operations.values()) / result.samples
        counted = "emulated" if emulated else result.origin
        say(f"per inference: {spikes:.1f} spikes, {operations:.1f} synaptic operations ({counted})")


def _say_exactness(deployment: Deployment, given: Samples) -> None:
    """Print how far an emulation holds on the chip."""
    from nmdeploy.convert.exact.recipe import early_remark
    from nmdeploy.report.exactness import exactness_line
    from nmdeploy.spread import exactness

    holds = exactness(deployment)
    if holds is not None:
        say("; ".join([exactness_line(holds), *holds.reasons]))
    early = early_remark(deployment, given.x)
    if early is not None:
        say(early)


def _say_cost(deployment: Deployment, outcome: Inference, given: Samples, steps: int | None) -> None:
    """Print the cost, counted in the run itself where every spike of it is known, else in an emulation."""
    from nmdeploy.cost import cost_of, modelled_cost
    from nmdeploy.report import cost_line

    counted = outcome.counted
    cost = modelled_cost(deployment, given.x, steps) if counted is None else cost_of(deployment, counted)
    if cost is not None:
        say(cost_line(cost))


def _say_spread(deployment: Deployment, given: Samples, orders: int, steps: int | None) -> dict[str, Any]:
    """Print the spread over candidate orders; returns its arrays."""
    from nmdeploy.report.exactness import spread_arrays, spread_sections
    from nmdeploy.report.render import text_section
    from nmdeploy.spread import spread

    with progress("emulating orders") as advance:
        found = spread(deployment, given.x, orders, steps=steps, progress=advance)
    for section in spread_sections(found, given.y):
        say(f"\n{text_section(section)}")
    return spread_arrays(found)

"""The recipe `exact`: what the pipeline asks of exact mode, and what it reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.coding import Clocked, Decision, Encoder
from nmdeploy.convert.checks import check_choice, check_variety
from nmdeploy.convert.exact.capability import CountRules
from nmdeploy.convert.exact.quantize import quantize_activations
from nmdeploy.convert.exact.quantized import QuantizedAnn
from nmdeploy.convert.exact.reaching import Proven
from nmdeploy.convert.exact.spiking import ExactNetwork, to_exact, windows
from nmdeploy.convert.exact.streaming import StreamedNetwork, stream
from nmdeploy.convert.exact.verify import early_spikes, mismatches
from nmdeploy.data import Samples
from nmdeploy.deployment import Deployment
from nmdeploy.emulator.result import Result
from nmdeploy.errors import UsageError
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network
from nmdeploy.registry import chip as find_chip
from nmdeploy.report.figures import Accuracy, Kind, accuracy_figures
from nmdeploy.target import Choice
from quantize import ScaleMethod

if TYPE_CHECKING:
    from nmdeploy.pipeline import Recipe

PROVEN, SAMPLED = "proven", "sampled"
BOUNDS = (PROVEN, SAMPLED)
"""How sums are bounded."""
MISMATCHES, EARLY = "exact.mismatches", "exact.early spikes"
"""The names under which `Deployment.figures` holds what exact mode is judged by."""


def check_exact(recipe: Recipe, chip: Choice) -> CountRules:
    """What exact mode can count on.

    Raises:
        UsageError: for a chip that cannot do it, or what does not go with it.
    """
    check_choice("bounds", recipe.bounds, BOUNDS)
    if recipe.readout == "count":
        hint = "leave the read-out out: potentials of the outputs are the quantized network's logits"
        raise UsageError("exact mode reads out potentials", where="readout", found=recipe.readout, hint=hint)
    if recipe.v_init_fraction:
        message = "exact mode sets initial potentials by itself"
        raise UsageError(message, where="v_init_fraction", found=recipe.v_init_fraction, limit=0)
    if recipe.per_channel:
        raise UsageError("exact mode has one scale a layer", where="per_channel", found=True, hint="leave it out")
    if recipe.scale != ScaleMethod.MAX.value:
        message = "exact mode finds its scales by itself"
        raise UsageError(message, where="scale", found=recipe.scale, hint="leave it out")
    rules = chip.target.exact_rules(chip.chip, chip.profile)
    if rules is None:
        hint = "take the recipe rate-calibrated"
        raise UsageError("the chip's neuron cannot do exact mode", where=chip.name, hint=hint)
    return rules


def exact_network(
    spiking: Network, chip: Choice, recipe: Recipe, calibration: NDArray[Any] | None = None
) -> ExactNetwork:
    """The float spiking network in exact mode.

    Args:
        spiking: read out by potentials.
        chip: the chip.
        recipe: with steps, levels and bounds.
        calibration: samples; needed for sampled bounds.

    Raises:
        NmdeployError: as `check_exact`, `quantize_activations` and `to_exact` do.
    """
    rules = check_exact(recipe, chip)
    given = None
    if recipe.bounds == SAMPLED:
        if calibration is None:
            hint = "convert the model anew, or use proven bounds"
            raise UsageError("sampled bounds need samples", where=spiking.name, hint=hint)
        check_variety(calibration)
        given = counts_of(recipe.encoder, calibration, recipe.steps)
    ann = quantize_activations(spiking, rules, levels=recipe.levels, input_steps=recipe.steps, samples=given)
    exact = to_exact(ann, rules, recipe.encoder)
    return replace(exact, network=replace(exact.network, notes=(*exact.network.notes, *_promise(ann))))


def counts_of(encoder: Encoder, samples: NDArray[Any], steps: int) -> Array:
    """Counts of the input, int64 `[N, *shape]`."""
    counts: Array = encoder.encode(samples, steps).sum(axis=0, dtype=np.int64)
    return counts


def _promise(ann: QuantizedAnn) -> tuple[str, ...]:
    """What exact mode guarantees of this network, as notes."""
    kept = "whatever the input" if ann.bounds == Proven.words else "as long as sums stay within these bounds"
    return (
        f"exact mode: counts of 0..{ann.levels} a neuron (0..{ann.input_steps} an input), "
        f"the quantized network's integer for integer, logits too, {kept}",
        f"bounds of sums: {ann.bounds}",
    )


def with_latency(deployment: Deployment, exact: ExactNetwork) -> Deployment:
    """The deployment with notes on how long an inference takes, and how often a sample can follow."""
    network, ann, latency = deployment.network, exact.ann, deployment.network.latency()
    # As if every phase took one step.
    _, ends = windows(ann, dict.fromkeys((each.name for each in ann.network.populations), 1))
    phases, steps = max(ends.values()) - ann.input_steps, deployment.steps - ann.input_steps
    lasting = f"phases of {ann.levels} steps" if steps == phases * ann.levels else f"phases, {steps} steps in all,"
    note = (
        f"latency: {ann.input_steps} input steps, {phases} {lasting} one after the other, "
        f"and {latency} steps of the chip's, {deployment.steps + latency} in all"
        f"{_lasting(deployment, network, deployment.steps + latency)}; potentials are written anew before every sample"
    )
    notes = [*network.notes, note]
    if exact.rules.streams:
        notes.append(f"streamed (nmdeploy.convert.exact.deploy_stream): {throughput(deployment, stream(exact))}")
    return deployment.with_(network=replace(network, notes=tuple(notes)))


def throughput(deployment: Deployment, streamed: StreamedNetwork) -> str:
    """How often samples follow each other on the chip of a deployment, in words."""
    choice, steps = find_chip(f"{deployment.target}:{deployment.chip}"), streamed.period
    told = f"a sample every {steps} steps"
    if choice.target.step_time(deployment.network, choice.chip) is None:
        return told
    network = choice.target.lower(streamed.network, choice.chip, choice.profile).network
    return told + _lasting(deployment, network, steps)


def _lasting(deployment: Deployment, network: Network, steps: int) -> str:
    """How long so many steps of a lowered network last, where the chip's pace is known."""
    choice = find_chip(f"{deployment.target}:{deployment.chip}")
    seconds = choice.target.step_time(network, choice.chip)
    if seconds is None:
        return ""
    return f" ({1e3 * steps * seconds:g} ms at {1e3 * seconds:g} ms a step, modelled)"


def exact_figures(
    ann: QuantizedAnn, deployment: Deployment, samples: Samples, result: Result, on: str
) -> dict[str, dict[str, Any]]:
    """Accuracy of the quantized network, and how often the chip differed from it.

    Args:
        ann: what the chip should compute.
        deployment: of the exact network.
        samples: labelled.
        result: of the deployment on the samples, recorded with `counts=("*",)`.
        on: what the samples are, in words.
    """
    encoder = deployment.encoder
    if not isinstance(encoder, Clocked) or samples.y is None:
        raise UsageError("the deployment is not of exact mode, or samples have no labels", where=ann.network.name)
    given = counts_of(encoder.encoder, samples.x, encoder.input_steps)
    decision = Decision.of_scores(ann.scores(given))
    figures: dict[str, dict[str, Any]] = {
        **accuracy_figures([Accuracy.of("quantized ANN", decision, samples.y, Kind.MEASURED, on=on)]),
        MISMATCHES: _figure(mismatches(ann, deployment.network, given, result), on, len(given)),
    }
    if ann.bounds != Proven.words:
        figures[EARLY] = _figure(early_spikes(deployment, samples.x), on, len(given))
    return figures


def early_remark(deployment: Deployment, samples: NDArray[Any]) -> str | None:
    """What to say of samples run with sampled bounds; None for every other deployment."""
    if deployment.provenance.get("recipe.bounds") != json.dumps(SAMPLED) or not isinstance(deployment.encoder, Clocked):
        return None
    count = sum(early_spikes(deployment, samples).values())
    verdict = f"{count} came: counts are not those of the quantized network" if count else "none came"
    return f"sampled bounds: spikes before a gate: {verdict} (emulated)"


def _figure(found: Mapping[str, int], on: str, samples: int) -> dict[str, Any]:
    """A sum over populations; those that contribute are named."""
    where = {name: count for name, count in found.items() if count}
    return {"value": sum(found.values()), "kind": Kind.EMULATED.value, "on": on, "samples": samples, **where}

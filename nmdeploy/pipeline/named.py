"""From an imported network to its place on a chip, by a recipe that is named."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from nmdeploy.ann.graph import AnnGraph
from nmdeploy.convert.calibrate import calibrate
from nmdeploy.convert.calibrate.ceilings import bounded_rates
from nmdeploy.convert.exact.recipe import check_exact
from nmdeploy.convert.methods import EXACT, RATE, RATE_CALIBRATED
from nmdeploy.convert.resets import AUTO, chosen_reset
from nmdeploy.convert.spiking import to_spiking
from nmdeploy.errors import UsageError
from nmdeploy.network import Network
from nmdeploy.pipeline.place import check_scale, integers_for, place, place_exact
from nmdeploy.pipeline.recipe import Recipe
from nmdeploy.pipeline.stages import Stage, Stages, silent
from nmdeploy.progress import Progress
from nmdeploy.target import Choice


def build_named(graph: AnnGraph, samples: NDArray[Any], chip: Choice, recipe: Recipe, stage: Stage = silent) -> Stages:
    """What `build` does, for every recipe but `auto`."""
    check_scale(chip, recipe)
    with stage("converting") as progress:
        spiking = converted(graph, samples, chip, recipe, progress)
    seen: NDArray[Any] | None = samples
    if recipe.method == RATE_CALIBRATED:
        seen = None
        with stage(f"calibrating for {chip.chip.title}") as progress:
            spiking = _calibrated(graph, spiking, samples, chip, recipe, progress)
    if recipe.method == EXACT:
        exact, deployment = place_exact(spiking, chip, recipe, stage, 1, samples)
        return Stages(graph, spiking, exact.network, deployment, recipe, exact.ann)
    integers, deployment = place(spiking, chip, recipe, stage, calibration=seen)
    return Stages(graph, spiking, integers, deployment, recipe)


def converted(graph: AnnGraph, samples: NDArray[Any], chip: Choice, recipe: Recipe, progress: Progress) -> Network:
    """The float spiking network before any calibration; where that chooses the read-out, it starts from potentials."""
    calibrated = recipe.method == RATE_CALIBRATED
    if calibrated and recipe.v_init_fraction:
        hint = "leave it out, or take the recipe 'rate'"
        message = "the recipe finds initial potentials by itself"
        raise UsageError(message, where=recipe.method, found=f"v_init_fraction={recipe.v_init_fraction}", hint=hint)
    if recipe.method == EXACT:
        check_exact(recipe, chip)
    chosen = "count" if recipe.method == RATE else "potential"
    return to_spiking(
        graph,
        samples,
        normalization=recipe.normalization,
        percentile=recipe.percentile,
        factor=recipe.factor,
        input=recipe.input,
        input_range=(recipe.low, recipe.high),
        readout=chosen if recipe.readout == AUTO else recipe.readout,
        reset=chosen_reset(recipe.reset, chip),
        v_init_fraction=recipe.v_init_fraction,
        progress=progress,
    )


def _calibrated(
    graph: AnnGraph, spiking: Network, samples: NDArray[Any], chip: Choice, recipe: Recipe, progress: Progress
) -> Network:
    return calibrate(
        spiking,
        samples,
        chip,
        steps=recipe.steps,
        encoder=recipe.encoder,
        ceilings=bounded_rates(graph, spiking),
        choose_readout=recipe.readout == AUTO,
        quantize=lambda network: integers_for(network, chip, recipe, None),
        seed=recipe.seed,
        progress=progress,
    ).network

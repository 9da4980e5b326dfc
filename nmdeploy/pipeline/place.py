"""A float spiking network in a chip's integers, on its cores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from nmdeploy.convert.checks import check_choice, too_late
from nmdeploy.convert.exact import ExactNetwork
from nmdeploy.convert.exact.recipe import exact_network, with_latency
from nmdeploy.convert.integers import to_integers
from nmdeploy.convert.methods import AUTO, EXACT
from nmdeploy.convert.resets import chosen_reset, with_reset
from nmdeploy.deployment import Deployment, deploy
from nmdeploy.errors import UsageError
from nmdeploy.inference import default_readout
from nmdeploy.network import Network
from nmdeploy.pipeline.recipe import Recipe
from nmdeploy.pipeline.stages import Stage, silent
from nmdeploy.target import Choice
from quantize import ScaleMethod


def place(
    spiking: Network,
    chip: Choice,
    recipe: Recipe,
    stage: Stage = silent,
    *,
    chips: int | None = 1,
    calibration: NDArray[Any] | None = None,
) -> tuple[Network, Deployment]:
    """Quantize a float spiking network for a chip (or `chips` of them), lower it and give it cores.

    Neurons first get the recipe's reset; with `auto` that is the one this chip does best.
    The samples, if any, are for the chip's own ways to find scales, and for sampled bounds.

    Raises:
        UsageError: for the recipe `auto`, which needs the trained network.
        NmdeployError: whatever quantizing, lowering and mapping find wrong.
    """
    if recipe.method == AUTO:
        hint = "build the trained network (`nmdeploy convert`), or name a recipe"
        raise UsageError("the recipe 'auto' chooses while a model is converted", where=spiking.name, hint=hint)
    if recipe.method == EXACT:
        exact, deployment = place_exact(spiking, chip, recipe, stage, chips, calibration)
        return exact.network, deployment
    check_scale(chip, recipe)
    fitting = with_reset(spiking, recipe.reset, chip)
    with stage(f"mapping to {chip.chip.title}"):
        integers = integers_for(fitting, chip, recipe, calibration)
        deployment = deploy(
            integers,
            chip,
            chips=chips,
            encoder=recipe.encoder,
            readout=default_readout(spiking),
            steps=recipe.steps,
            provenance={**recipe.provenance(), "reset": chosen_reset(recipe.reset, chip)},
            source=spiking,
        )
    late = too_late(spiking, deployment.network, recipe.steps)
    return integers, _with_notes(deployment, late)


def _with_notes(deployment: Deployment, notes: Iterable[str]) -> Deployment:
    network = deployment.network
    return deployment.with_(network=replace(network, notes=tuple(dict.fromkeys((*network.notes, *notes)))))


def place_exact(
    spiking: Network, chip: Choice, recipe: Recipe, stage: Stage, chips: int | None, calibration: NDArray[Any] | None
) -> tuple[ExactNetwork, Deployment]:
    """A float spiking network in exact mode, on its cores; arguments as of `place`."""
    with stage(f"mapping to {chip.chip.title}"):
        exact = exact_network(spiking, chip, recipe, calibration)
        deployment = deploy(
            exact.network,
            chip,
            chips=chips,
            encoder=exact.encoder,
            readout=default_readout(spiking),
            steps=exact.steps,
            provenance=recipe.provenance(),
            source=spiking,
        )
    return exact, with_latency(deployment, exact)


def check_scale(chip: Choice, recipe: Recipe) -> None:
    """Raise UsageError for a way to find scales that the chip does not have, or that does not go with the rest."""
    own = tuple(chip.target.quantizers(chip.chip, chip.profile))
    check_choice(f"scale for {chip.name}", recipe.scale, (*(method.value for method in ScaleMethod), *own))
    if recipe.scale in own and recipe.per_channel is not None:
        hint = "leave per_channel out"
        raise UsageError("the scheme knows by itself which scales may differ", where=recipe.scale, hint=hint)


def integers_for(network: Network, chip: Choice, recipe: Recipe, calibration: NDArray[Any] | None) -> Network:
    """The network in the chip's integers, by the recipe's way to find scales; samples are for the chip's own ways."""
    scheme = chip.target.quantizers(chip.chip, chip.profile).get(recipe.scale)
    if scheme is not None:
        return scheme(network, calibration)
    return to_integers(
        network,
        chip.precision,
        method=ScaleMethod(recipe.scale),
        percentile=recipe.percentile,
        per_channel=recipe.per_channel,
    )

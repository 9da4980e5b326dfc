"""The whole path in one call, and what each of its stages gets right.

`build` strings the passes together in the order of the design: import has
happened, then convert, quantize, lower and map. `measure` runs every stage on the
same samples, so that a report can say where accuracy was lost.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nmdeploy
from nmdeploy.ann.execute import run as run_graph
from nmdeploy.ann.graph import AnnGraph
from nmdeploy.bundle import make_vectors
from nmdeploy.coding import (
    ConstantCurrent,
    Decision,
    DeterministicRate,
    Encoder,
)
from nmdeploy.convert.calibrate import calibrate
from nmdeploy.convert.calibrate.ceilings import bounded_rates
from nmdeploy.convert.checks import check_choice
from nmdeploy.convert.exact import ExactNetwork, QuantizedAnn
from nmdeploy.convert.exact.recipe import PROVEN, check_exact, exact_figures, exact_network, with_latency
from nmdeploy.convert.integers import to_integers
from nmdeploy.convert.resets import AUTO, chosen_reset, with_reset
from nmdeploy.convert.spiking import to_spiking
from nmdeploy.cost import FIGURE as COST
from nmdeploy.cost import modelled_cost
from nmdeploy.data import Samples
from nmdeploy.deployment import Deployment, deploy
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.errors import DataError, UsageError
from nmdeploy.inference import Inference, default_readout, infer
from nmdeploy.network import Network
from nmdeploy.progress import Progress
from nmdeploy.report.activity import FIGURE as ACTIVITY
from nmdeploy.report.activity import Activity
from nmdeploy.report.figures import Accuracy, Kind, accuracy_figures
from nmdeploy.structure import Record, field_names
from nmdeploy.target import Choice
from quantize import ScaleMethod

Stage = Callable[[str], AbstractContextManager[Progress]]
"""Opens a progress display for a stage of that title."""


VECTORS = 2
"""Samples whose spikes a bundle carries as test vectors."""


_PREFIX = "recipe."

RATE, RATE_CALIBRATED, EXACT = "rate", "rate-calibrated", "exact"
METHODS = (RATE, RATE_CALIBRATED, EXACT)
"""The conversions, by the names that users give."""


def silent(_title: str) -> AbstractContextManager[Progress]:
    """A `Stage` that shows nothing."""
    return nullcontext(lambda _done, _total: None)


@dataclass(frozen=True, eq=False, repr=False)
class Recipe(Record):
    """How a network is converted; stored with the bundle.

    Attributes:
        method: `rate`: activations become spike rates, scaled by `normalization`;
            `rate-calibrated`: then fitted, layer by layer, to what the chip makes of them;
            `exact`: spike counts equal a quantized network, integer for integer.
        steps: input steps of one inference; with `exact` the layers' own phases follow.
        normalization: `percentile`, `max`, `model` or `fixed` (see `to_spiking`).
        percentile: for `percentile`.
        factor: for `fixed`.
        input: `spikes` (binary, evenly spaced) or `current` (graded values).
        low, high: range of the network's real inputs.
        readout: `count`, `potential`, or `auto`: `count` for the method `rate`, the better one on
            the calibration samples for `rate-calibrated`, `potential` (the only one) for `exact`.
        reset: of the ideal neurons: `subtract`, `zero`, or `auto` for the best one that the
            chip can do.
        v_init_fraction: initial membrane potential as a share of the threshold;
            `rate-calibrated` finds it by itself.
        scale: how integer scales are found: a `ScaleMethod`, or a scheme of the chip's own
            (`Target.quantizers`), which sees the calibration samples; with `rate-calibrated` it does
            without, as the fit is to the integers that it had.
        per_channel: whether each output channel has its own scale; None: where that costs
            the chip nothing.
        levels: for `exact`: the largest count of a hidden neuron.
        bounds: for `exact`: whether sums are bounded as `proven` for every input, or as `sampled`
            on the calibration samples.
        seed: of everything random.
    """

    method: str = RATE
    steps: int = 64
    normalization: str = "percentile"
    percentile: float = 99.9
    factor: float | None = None
    input: str = "spikes"
    low: float = 0.0
    high: float = 1.0
    readout: str = AUTO
    reset: str = AUTO
    v_init_fraction: float = 0.0
    scale: str = ScaleMethod.MAX.value
    per_channel: bool | None = None
    levels: int = 8
    bounds: str = PROVEN
    seed: int = 0

    @property
    def encoder(self) -> Encoder:
        """The encoder that the input population expects."""
        kind = DeterministicRate if self.input == "spikes" else ConstantCurrent
        return kind(low=self.low, high=self.high)

    def provenance(self) -> dict[str, str]:
        """The recipe and the versions it ran with, as text."""
        settings = {_PREFIX + name: json.dumps(getattr(self, name)) for name in field_names(self)}
        versions = {"nmdeploy": nmdeploy.__version__, "python": platform.python_version(), "numpy": np.__version__}
        return {**versions, **settings}

    @classmethod
    def from_provenance(cls, provenance: Mapping[str, str]) -> Recipe:
        """The recipe that a bundle was made with; what an older release did not tell has its default.

        Raises:
            UsageError: when the bundle tells none, or something that this release does not know.
        """
        stored = {key[len(_PREFIX) :]: text for key, text in provenance.items() if key.startswith(_PREFIX)}
        unknown = sorted(set(stored) - set(field_names(cls)))
        if unknown or not stored:
            raise UsageError("the bundle does not tell a recipe of this release", found=", ".join(unknown) or "nothing")
        return cls(**{name: json.loads(text) for name, text in stored.items()})


@dataclass(frozen=True)
class Stages:
    """Every form a network takes on its way to the chip; `quantized` with the recipe `exact` only."""

    graph: AnnGraph
    spiking: Network
    integers: Network
    deployment: Deployment
    quantized: QuantizedAnn | None = None


def build(graph: AnnGraph, calibration: NDArray[Any], chip: Choice, recipe: Recipe, stage: Stage = silent) -> Stages:
    """Convert, quantize, lower and map an imported network.

    Args:
        graph: from an importer.
        calibration: samples `[N, *shape]` without labels.
        chip: from `nmdeploy.chip`.
        recipe: how to convert.
        stage: opens a progress display for each stage.

    Raises:
        NmdeployError: whatever a stage finds wrong; `FitError` when the chip is too small.
    """
    check_choice("recipe", recipe.method, METHODS)
    _check_scale(chip, recipe)
    with stage("converting") as progress:
        spiking = _converted(graph, calibration, chip, recipe, progress)
    seen: NDArray[Any] | None = calibration
    if recipe.method == RATE_CALIBRATED:
        seen = None
        with stage(f"calibrating for {chip.chip.title}") as progress:
            spiking = _calibrated(graph, spiking, calibration, chip, recipe, progress)
    if recipe.method == EXACT:
        exact, deployment = _place_exact(spiking, chip, recipe, stage, 1, calibration)
        return Stages(graph, spiking, exact.network, deployment, exact.ann)
    integers, deployment = place(spiking, chip, recipe, stage, calibration=seen)
    return Stages(graph, spiking, integers, deployment)


def _converted(graph: AnnGraph, samples: NDArray[Any], chip: Choice, recipe: Recipe, progress: Progress) -> Network:
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
        quantize=lambda network: _integers(network, chip, recipe, None),
        seed=recipe.seed,
        progress=progress,
    ).network


def _check_scale(chip: Choice, recipe: Recipe) -> None:
    """Raise UsageError for a way to find scales that the chip does not have, or that does not go with the rest."""
    own = tuple(chip.target.quantizers(chip.chip, chip.profile))
    check_choice(f"scale for {chip.name}", recipe.scale, (*(method.value for method in ScaleMethod), *own))
    if recipe.scale in own and recipe.per_channel is not None:
        hint = "leave per_channel out"
        raise UsageError("the scheme knows by itself which scales may differ", where=recipe.scale, hint=hint)


def _integers(network: Network, chip: Choice, recipe: Recipe, calibration: NDArray[Any] | None) -> Network:
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
    """
    if recipe.method == EXACT:
        exact, deployment = _place_exact(spiking, chip, recipe, stage, chips, calibration)
        return exact.network, deployment
    _check_scale(chip, recipe)
    fitting = with_reset(spiking, recipe.reset, chip)
    with stage(f"mapping to {chip.chip.title}"):
        integers = _integers(fitting, chip, recipe, calibration)
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
    return integers, deployment


def _place_exact(
    spiking: Network, chip: Choice, recipe: Recipe, stage: Stage, chips: int | None, calibration: NDArray[Any] | None
) -> tuple[ExactNetwork, Deployment]:
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


def measure(stages: Stages, samples: Samples, recipe: Recipe, stage: Stage = silent, on: str = "") -> Deployment:
    """Run every stage on labelled samples and keep the figures in the deployment.

    Args:
        stages: from `build`.
        samples: labelled test samples, none of them used for calibration.
        recipe: the one it was built with.
        stage: opens a progress display for each stage.
        on: what the samples are, in words.

    Returns:
        The deployment with accuracies, activity, the cost where its target knows one, and test vectors.

    Raises:
        DataError: without labels, or without samples.
    """
    if samples.y is None or not len(samples):
        raise DataError("accuracy needs labelled samples", hint="add y to the data file")
    labels = samples.y
    runs: dict[str, Inference] = {}
    for title, (network, encoder, steps) in _forms(stages, recipe).items():
        with stage(f"running the {title}") as progress:
            runs[title] = infer(
                network,
                samples.x,
                encoder=encoder,
                readout=stages.deployment.readout,
                steps=steps,
                record=Recording(counts=(ALL,)),
                progress=progress,
            )
    kinds = {"float SNN": Kind.SIMULATED, "integer SNN": Kind.EMULATED, "chip": Kind.EMULATED}
    accuracies = [_ann_accuracy(stages.graph, samples.x, labels, on)]
    accuracies += [
        Accuracy.of(title, run.decision, labels, kinds[title], recipe.steps, on) for title, run in runs.items()
    ]
    activity = Activity.of(runs["chip"].result, stages.deployment.network)
    figures = {**accuracy_figures(accuracies), ACTIVITY: activity.figure()}
    with stage("modelling the cost"):
        cost = modelled_cost(stages.deployment, samples.x)
    if cost is not None:
        figures[COST] = cost.figure()
    if stages.quantized is not None:
        with stage("comparing with the quantized network"):
            figures |= exact_figures(stages.quantized, stages.deployment, samples, runs["chip"].result, on)
    return with_vectors(stages.deployment.with_(figures=figures), samples.x[:VECTORS])


def _forms(stages: Stages, recipe: Recipe) -> dict[str, tuple[Network | Deployment, Encoder | None, int]]:
    """What runs on the way to the chip, with encoder and input steps."""
    deployment = stages.deployment
    last: dict[str, tuple[Network | Deployment, Encoder | None, int]] = {
        "integer SNN": (stages.integers, deployment.encoder, deployment.steps),
        "chip": (deployment, None, deployment.steps),
    }
    return last if recipe.method == EXACT else {"float SNN": (stages.spiking, recipe.encoder, recipe.steps), **last}


def with_vectors(deployment: Deployment, samples: NDArray[Any]) -> Deployment:
    """The deployment with test vectors made from a few samples."""
    if deployment.encoder is None:
        raise UsageError("the deployment has no encoder", hint="pass encoder= to deploy")
    names = [population.name for population in deployment.network.inputs]
    return make_vectors(deployment, deployment.encoder.inputs(names, samples, deployment.steps))


def _ann_accuracy(graph: AnnGraph, x: NDArray[Any], labels: NDArray[np.int64], on: str) -> Accuracy:
    scores = run_graph(graph, x)[graph.output].reshape(len(x), -1)
    return Accuracy.of("ANN", Decision.of_scores(scores), labels, Kind.MEASURED, 0, on)

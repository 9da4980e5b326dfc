"""A model file in a chip's own terms: cores, figures and test vectors, nothing to convert or quantize."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nmdeploy.bundle import make_vectors
from nmdeploy.coding import ConstantCurrent, DeterministicRate, Encoder
from nmdeploy.cost import FIGURE as COST
from nmdeploy.cost import cost_of, counted_samples
from nmdeploy.data import Samples
from nmdeploy.deployment import Deployment, deploy
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.errors import UsageError
from nmdeploy.inference import default_readout, infer
from nmdeploy.network import Network
from nmdeploy.pipeline import VECTORS, Recipe, Stage, silent, with_vectors
from nmdeploy.report.activity import FIGURE as ACTIVITY
from nmdeploy.report.activity import Activity
from nmdeploy.report.figures import Accuracy, Kind, accuracy_figures
from nmdeploy.target import Choice, Reader


def reader_of(path: Path, choice: Choice) -> Reader | None:
    """What reads a model file of this suffix into the chip's terms; None when the target does not know it."""
    return choice.target.readers().get(path.suffix.lower())


def place_ready(network: Network, choice: Choice, recipe: Recipe, stage: Stage = silent) -> Deployment:
    """Give a network that is in the chip's terms its cores, and test vectors made from random inputs.

    Args:
        network: from one of the target's readers.
        choice: the chip.
        recipe: its steps, range of samples and seed count; the rest concerns conversion.
        stage: opens a progress display.

    Raises:
        FitError: with every violation, when the network does not fit.
    """
    with stage(f"mapping to {choice.chip.title}"):
        deployment = deploy(
            network,
            choice,
            encoder=encoder_of(network, recipe),
            readout=default_readout(network),
            steps=recipe.steps,
            provenance=recipe.provenance(),
        )
    generator = np.random.Generator(np.random.PCG64(recipe.seed))
    inputs = {}
    for source in network.inputs:
        low, high = source.spike_range
        inputs[source.name] = generator.integers(low, high + 1, (recipe.steps, VECTORS, *source.shape))
    return make_vectors(deployment, inputs)


def encoder_of(network: Network, recipe: Recipe) -> Encoder | None:
    """The encoder of a network's input: spikes, or graded values up to a byte; None where neither fits."""
    source = network.inputs[0]
    if source.spike_range == (0, 1):
        return DeterministicRate(low=recipe.low, high=recipe.high)
    if source.minimum >= 0 and source.maximum <= np.iinfo(np.uint8).max:
        return ConstantCurrent(low=recipe.low, high=recipe.high, levels=source.maximum)
    return None


def measure_ready(deployment: Deployment, samples: Samples, stage: Stage = silent, on: str = "") -> Deployment:
    """The deployment with accuracy, activity, the cost where it is known, and test vectors of labelled samples.

    Args:
        deployment: from `place_ready`.
        samples: labelled test samples.
        stage: opens a progress display.
        on: what the samples are, in words.

    Raises:
        UsageError: without labels, or when no encoder makes the network's inputs.
    """
    if samples.y is None or deployment.encoder is None:
        missing = "labels" if samples.y is None else "an encoder: the inputs are wider than a byte"
        raise UsageError(f"accuracy needs {missing}", where=deployment.network.name)
    with stage("running the chip") as progress:
        kept = counted_samples(deployment)
        run = infer(deployment, samples.x, record=Recording(counts=(ALL,)), every_spike_of=kept, progress=progress)
    accuracy = Accuracy.of("chip", run.decision, samples.y, Kind.EMULATED, deployment.steps, on)
    figures = {**accuracy_figures([accuracy]), ACTIVITY: Activity.of(run.result, deployment.network).figure()}
    cost = cost_of(deployment, run.counted)
    if cost is not None:
        figures[COST] = cost.figure()
    return with_vectors(deployment.with_(figures=figures), samples.x[:VECTORS])

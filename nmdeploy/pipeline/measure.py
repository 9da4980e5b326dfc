"""What each stage of the path gets right, on the same samples."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.ann.execute import run as run_graph
from nmdeploy.ann.graph import AnnGraph
from nmdeploy.bundle import make_vectors
from nmdeploy.coding import Decision, Encoder
from nmdeploy.convert.checks import check_labels
from nmdeploy.convert.exact.recipe import exact_figures
from nmdeploy.convert.methods import AUTO, EXACT
from nmdeploy.cost import FIGURE as COST
from nmdeploy.cost import cost_of, counted_samples
from nmdeploy.data import Samples
from nmdeploy.deployment import Deployment
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.errors import DataError, UsageError
from nmdeploy.inference import Inference, infer
from nmdeploy.network import Network
from nmdeploy.pipeline.recipe import Recipe
from nmdeploy.pipeline.stages import Stage, Stages, silent
from nmdeploy.report.activity import FIGURE as ACTIVITY
from nmdeploy.report.activity import Activity
from nmdeploy.report.figures import Accuracy, Kind, accuracy_figures

VECTORS = 2
"""Samples whose spikes a bundle carries as test vectors."""


def measure(stages: Stages, samples: Samples, recipe: Recipe, stage: Stage = silent, on: str = "") -> Deployment:
    """Run every stage on labelled samples and keep the figures in the deployment.

    Args:
        stages: from `build`.
        samples: labelled test samples, none of them used for calibration.
        recipe: the one it was built with; for `auto` what that chose is taken from `stages`.
        stage: opens a progress display for each stage.
        on: what the samples are, in words.

    Returns:
        The deployment with accuracies, activity, the cost where its target knows one, and test vectors.

    Raises:
        DataError: without labels or samples, or for labels beyond the network's outputs.
    """
    if samples.y is None or not len(samples):
        raise DataError("accuracy needs labelled samples", hint="add y to the data file")
    labels = samples.y
    check_labels(labels, len(samples), prod(stages.graph.shapes[stages.graph.output]), "labels")
    recipe = stages.recipe if recipe.method == AUTO else recipe
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
                every_spike_of=counted_samples(stages.deployment) if title == "chip" else 0,
                progress=progress,
            )
    kinds = {"float SNN": Kind.SIMULATED, "integer SNN": Kind.EMULATED, "chip": Kind.EMULATED}
    accuracies = [_ann_accuracy(stages.graph, samples.x, labels, on)]
    accuracies += [
        Accuracy.of(title, run.decision, labels, kinds[title], recipe.steps, on) for title, run in runs.items()
    ]
    activity = Activity.of(runs["chip"].result, stages.deployment.network)
    figures = {**stages.deployment.figures, **accuracy_figures(accuracies), ACTIVITY: activity.figure()}
    with stage("modelling the cost"):
        cost = cost_of(stages.deployment, runs["chip"].counted)
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

"""From an imported network to its place on a chip, in one call."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.ann.graph import AnnGraph
from nmdeploy.convert.checks import check_calibration, check_labels, check_weights, only_source
from nmdeploy.convert.methods import AUTO
from nmdeploy.pipeline.named import build_named
from nmdeploy.pipeline.recipe import Recipe
from nmdeploy.pipeline.selection import select
from nmdeploy.pipeline.stages import Stage, Stages, silent
from nmdeploy.report.selection import FIGURE
from nmdeploy.target import Choice


def build(
    graph: AnnGraph,
    calibration: NDArray[Any],
    chip: Choice,
    recipe: Recipe,
    stage: Stage = silent,
    *,
    labels: NDArray[Any] | None = None,
) -> Stages:
    """Convert, quantize, lower and map an imported network.

    Args:
        graph: from an importer.
        calibration: samples `[N, *shape]`.
        chip: from `nmdeploy.chip`.
        recipe: how to convert; `auto` measures the others and goes on with the best (see `select`).
        stage: opens a progress display for each stage.
        labels: int `[N]`, by which `auto` judges; without them it judges by agreement with
            the trained network's decisions. The other recipes need none.

    Raises:
        NmdeployError: whatever a stage finds wrong; `FitError` when the chip is too small.
    """
    samples = np.asarray(calibration)
    if labels is not None:
        labels = np.asarray(labels)
        check_labels(labels, len(samples), prod(graph.shapes[graph.output]), "labels")
    if recipe.method != AUTO:
        return build_named(graph, samples, chip, recipe, stage)
    check_weights(graph)
    check_calibration(samples, graph.shapes[only_source(graph).name], recipe.low, recipe.high)
    selected = select(graph, samples, chip, recipe, stage, labels=labels)
    stages = build_named(graph, samples, chip, selected.recipe, stage)
    told = {**stages.deployment.provenance, AUTO: f"steps={recipe.steps}, energy_weight={recipe.energy_weight:g}"}
    deployment = stages.deployment.with_(provenance=told, figures={FIGURE: selected.selection.figure()})
    return replace(stages, deployment=deployment, selection=selected.selection)

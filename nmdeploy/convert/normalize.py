"""Scales of activations: which activation a spike at every step stands for.

lambda of a layer is the activation that becomes one spike per step. The weights from
a layer s to a layer t are multiplied by lambda_s / lambda_t and biases divided by
lambda_t, with a threshold of 1 throughout. Branches that meet in an addition are
consistent by construction, since each is scaled from its own source to the common target.

Sources: Diehl et al. 2015, doi 10.1109/IJCNN.2015.7280696 (`model`, `max`);
Rueckauer et al. 2017, doi 10.3389/fnins.2017.00682 (`percentile`, biases).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.ann.execute import iterate
from nmdeploy.ann.graph import AnnGraph
from nmdeploy.convert.checks import check_choice
from nmdeploy.convert.statistics import Distribution
from nmdeploy.convert.terms import PreActivation, Term
from nmdeploy.errors import ModelError, UsageError
from nmdeploy.progress import Progress

METHODS = ("percentile", "max", "model", "fixed")


@dataclass(frozen=True)
class Normalization:
    """How lambda is found; a bounded `Rectify` (ReLU6) never gets more than its bound.

    Attributes:
        method: `percentile`: the p-th percentile of the layer's rectified activations over
            all neurons and calibration samples, zeros included; `max`: the largest of
            them; `model`: the largest activation that the weights allow, each origin at
            0 or its lambda; `fixed`: `factor` for every spiking layer.
        percentile: for `percentile`, above 0, at most 100.
        factor: for `fixed`, above 0.
    """

    method: str = "percentile"
    percentile: float = 99.9
    factor: float | None = None

    def __post_init__(self) -> None:
        check_choice("normalization", self.method, METHODS)
        if not 0 < self.percentile <= 100:
            raise UsageError("a percentile is above 0 and at most 100", found=self.percentile, hint="99.9 is usual")
        if self.method != "fixed" and self.factor is not None:
            raise UsageError("factor goes with normalization 'fixed' only", found=self.method)
        if self.method == "fixed" and self.factor is None:
            raise UsageError("normalization 'fixed' needs factor=", hint="the activation that one spike a step means")
        if self.factor is not None and not (math.isfinite(self.factor) and self.factor > 0):
            raise UsageError("factor must be above 0", found=self.factor)


@dataclass(frozen=True)
class Scale:
    """A layer's lambda, and what there is to say of it.

    Attributes:
        value: the activation that one spike per step stands for, above 0.
        remark: half a sentence for the user; empty when all is well.
    """

    value: float
    remark: str = ""


def find_scales(
    graph: AnnGraph,
    layers: Sequence[PreActivation],
    normalization: Normalization,
    samples: NDArray[Any],
    input_width: float,
    progress: Progress | None = None,
) -> dict[str, Scale]:
    """lambda of every layer, by node name.

    Args:
        graph: the trained network.
        layers: those of its pre-activations that become spiking populations.
        normalization: the method.
        samples: calibration data `[N, *shape]`; only `percentile` and `max` look at it.
        input_width: high - low of the input range, the lambda of the source.
        progress: called after every batch of calibration data.

    Raises:
        ModelError: when activations are not finite.
    """
    if not layers:
        return {}
    if normalization.method == "fixed":
        found = {layer.node: Scale(normalization.factor or 1.0) for layer in layers}
    elif normalization.method == "model":
        found = _from_weights(graph, layers, input_width)
    else:
        found = _from_data(graph, layers, normalization, samples, progress)
    return {layer.node: _bounded(found[layer.node], layer.maximum) for layer in layers}


def _bounded(scale: Scale, maximum: float | None) -> Scale:
    return scale if maximum is None or scale.value <= maximum else Scale(maximum, scale.remark)


def _from_data(
    graph: AnnGraph,
    layers: Sequence[PreActivation],
    normalization: Normalization,
    samples: NDArray[Any],
    progress: Progress | None,
) -> dict[str, Scale]:
    """Scales from the activations on calibration data."""
    distributions = {layer.node: Distribution() for layer in layers}
    done = 0
    for values in iterate(graph, samples, distributions):
        for node, distribution in distributions.items():
            distribution.add(_finite(values[node], node))
        done += len(next(iter(values.values())))
        if progress is not None:
            progress(done, len(samples))
    percent = 100.0 if normalization.method == "max" else normalization.percentile
    return {node: _scale(distribution, percent) for node, distribution in distributions.items()}


def _finite(activations: NDArray[Any], node: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # too large for float32 becomes infinity, refused here
        values = activations.astype(np.float32, copy=False)
    if not np.all(np.isfinite(values)):
        raise ModelError("activations on the calibration data are not finite", where=node)
    return values


def _scale(distribution: Distribution, percent: float) -> Scale:
    if distribution.largest == 0:
        return Scale(1.0, "never active on the calibration data; its scale is 1")
    value = distribution.percentile(percent)
    if value > 0:
        return Scale(value)
    remark = f"{percent:g} % of its activations on the calibration data are 0; scaled by the largest instead"
    return Scale(distribution.largest, remark)


def _from_weights(graph: AnnGraph, layers: Sequence[PreActivation], input_width: float) -> dict[str, Scale]:
    """Scales from the largest pre-activations that the weights allow.

    bound_t = max over neurons of ( bias + sum over terms of max(W, 0) lambda_s )
    """
    found: dict[str, Scale] = {}
    lambdas = {graph.sources[0].name: input_width}
    for layer in layers:
        bound = float(np.max(layer.bias + sum(_largest(term, graph, lambdas) for term in layer.terms)))
        scale = Scale(bound) if bound > 0 else Scale(1.0, "can never be active, whatever the input; its scale is 1")
        found[layer.node] = _bounded(scale, layer.maximum)
        lambdas[layer.node] = found[layer.node].value
    return found


def _largest(term: Term, graph: AnnGraph, lambdas: Mapping[str, float]) -> NDArray[Any]:
    """The largest value of a term for activations of its origin between 0 and lambda."""
    values: NDArray[Any] = np.full((1, *graph.shapes[term.origin]), lambdas[term.origin])
    for synapse in term.chain:
        positive = synapse if synapse.weight is None else synapse.with_weight(np.maximum(synapse.weight, 0))
        values = positive.apply(values)
    first: NDArray[Any] = values[0]
    return first

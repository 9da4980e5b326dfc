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
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.ann.execute import iterate
from nmdeploy.ann.graph import AnnGraph
from nmdeploy.convert.checks import check_choice
from nmdeploy.convert.statistics import ActiveUnits, Distribution
from nmdeploy.convert.terms import PreActivation, Term
from nmdeploy.errors import ModelError, UsageError
from nmdeploy.progress import Progress

METHODS = ("percentile", "max", "model", "fixed", "bounds")


@dataclass(frozen=True)
class Normalization:
    """How lambda is found; a bounded `Rectify` (ReLU6) never gets more than its bound.

    Attributes:
        method: `percentile`: the p-th percentile of the layer's rectified activations over
            all neurons and calibration samples, zeros included; `max`: the largest of
            them; `model`: the largest activation that the weights allow, each origin at
            0 or its lambda; `fixed`: `factor` for every spiking layer; `bounds`: the upper end
            of each activation (ReLU6, Hardtanh), as fine-tuning learns it.
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
        silence: likewise, on neurons that were never active on the calibration data.
    """

    value: float
    remark: str = ""
    silence: str = ""


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
        samples: calibration data `[N, *shape]`; scales of `percentile` and `max` come from it, and
            remarks on what is never active on it.
        input_width: high - low of the input range, the lambda of the source.
        progress: called after every batch of calibration data.

    Raises:
        ModelError: when activations are not finite; for `bounds`, naming every activation without an upper end.
    """
    if not layers:
        return {}
    seen = _seen(graph, layers, samples, progress)
    if normalization.method == "fixed":
        found = {layer.node: Scale(normalization.factor or 1.0) for layer in layers}
    elif normalization.method == "model":
        found = _from_weights(graph, layers, input_width)
    elif normalization.method == "bounds":
        found = _from_bounds(graph, layers)
    else:
        percent = 100.0 if normalization.method == "max" else normalization.percentile
        found = {layer.node: scale_of(seen[layer.node].distribution, percent) for layer in layers}
    return {layer.node: seen[layer.node].told(_bounded(found[layer.node], layer.maximum)) for layer in layers}


@dataclass
class _Seen:
    """A layer's activations on the calibration data."""

    distribution: Distribution = field(default_factory=Distribution)
    active: ActiveUnits = field(default_factory=ActiveUnits)

    def add(self, values: NDArray[np.float32]) -> None:
        self.distribution.add(values)
        self.active.add(values)

    def told(self, scale: Scale) -> Scale:
        """The scale with a remark on units that are never active, unless it has one."""
        return scale if scale.remark else replace(scale, silence=self.active.silence())


def _seen(
    graph: AnnGraph, layers: Sequence[PreActivation], samples: NDArray[Any], progress: Progress | None
) -> dict[str, _Seen]:
    """What every layer does on the calibration data."""
    found = {layer.node: _Seen() for layer in layers}
    done = 0
    for values in iterate(graph, samples, found):
        for node, seen in found.items():
            seen.add(_finite(values[node], node))
        done += len(next(iter(values.values())))
        if progress is not None:
            progress(done, len(samples))
    return found


def _bounded(scale: Scale, maximum: float | None) -> Scale:
    return scale if maximum is None or scale.value <= maximum else Scale(maximum, scale.remark)


def _from_bounds(graph: AnnGraph, layers: Sequence[PreActivation]) -> dict[str, Scale]:
    """Scales that are the activations' own upper ends."""
    missing = [graph[layer.node].origin or layer.node for layer in layers if layer.maximum is None]
    if missing:
        raise ModelError(
            "normalization 'bounds' takes each activation's upper end as its scale; there is none",
            where=", ".join(missing),
            hint="fine-tune the model (nmdeploy.convert.finetune), use nn.Hardtanh(0, bound), or read out potentials",
        )
    return {layer.node: Scale(layer.maximum) for layer in layers if layer.maximum is not None}


def _finite(activations: NDArray[Any], node: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # too large for float32 becomes infinity, refused here
        values = activations.astype(np.float32, copy=False)
    if not np.all(np.isfinite(values)):
        raise ModelError("activations on the calibration data are not finite", where=node)
    return values


def scale_of(distribution: Distribution, percent: float) -> Scale:
    """The p-th percentile, or what stands in for it where that is 0."""
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

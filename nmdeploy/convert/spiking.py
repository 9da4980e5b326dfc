"""Rate conversion: a trained float network becomes a float spiking network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nmdeploy.ann.graph import AnnGraph, Rectify
from nmdeploy.coding.ranges import check_limits
from nmdeploy.convert.checks import check_calibration, check_choice, check_fraction, check_weights, only_source
from nmdeploy.convert.names import population_names
from nmdeploy.convert.normalize import Normalization, Scale, find_scales
from nmdeploy.convert.terms import PreActivation, Term, pre_activations
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator, NeuronModel
from nmdeploy.progress import Progress
from nmdeploy.synapses import Synapse

GRADED_LEVELS = 255
"""Largest value of a graded input spike: `ConstantCurrent` sends whole numbers up to it."""

_SAME_BIAS = 1e-9
"""Biases of a channel that differ by less than this share of the layer's largest are one bias."""


def to_spiking(
    graph: AnnGraph,
    calibration: NDArray[Any],
    *,
    normalization: str = "percentile",
    percentile: float = 99.9,
    factor: float | None = None,
    input: str = "spikes",
    input_range: tuple[float, float] = (0.0, 1.0),
    readout: str = "count",
    reset: str = "subtract",
    v_init_fraction: float = 0.0,
    name: str | None = None,
    progress: Progress | None = None,
) -> Network:
    """Convert a trained network to integrate-and-fire neurons whose rates are its activations.

    Every `Rectify` becomes a population of `IF` neurons with threshold 1 whose spikes per
    step approach activation / lambda, lambda being the layer's scale (`Normalization`)
    and the population's `rate_scale`. Linear layers between populations become one
    projection per source with one weighted map (`fold`); biases are added at every step.
    The network's real input is low + (high - low) r, r the rate that the encoder makes
    of it: the input's `rate_scale` is high - low (divided by 255 for graded input), and
    the response to an image of `low` everywhere is part of the biases, exact at borders.
    Weights and biases are computed in float64 and rounded to float32 at the end.

    Args:
        graph: the trained network, with one input.
        calibration: samples `[N, *shape]` as the network takes them, without labels.
        normalization: `percentile`, `max`, `model`, `fixed` or `bounds`, see `Normalization`.
        percentile: for `percentile`.
        factor: for `fixed`.
        input: `spikes` (binary) or `current` (whole numbers 0..255, `ConstantCurrent`).
        input_range: (low, high), the real inputs that become rate 0 and 1.
        readout: `count`: the output spikes, its positive part counts; `potential`: it
            integrates and never fires, so that its potential after T steps approaches
            T times the output. A ReLU at the very end is dropped then.
        reset: `subtract` or `zero`, see `IF`.
        v_init_fraction: initial potential as a share of the threshold; 0.5 makes the
            expected error of short runs smallest (Bu et al. 2022, arXiv:2202.01440).
        name: of the network; default: the graph's.
        progress: called with (calibration samples done, in all).

    Returns:
        A float network; `Network.notes` tells what the user should know.

    Raises:
        ModelError: for weights that are not finite, or a structure that cannot be converted.
        DataError, ShapeError: for calibration data that cannot be used.
        UsageError: for options out of range.
    """
    method = Normalization(normalization, percentile, factor)
    options = _Options(input, *input_range, readout, reset, v_init_fraction)
    source = only_source(graph)
    check_weights(graph)
    samples = np.asarray(calibration)
    remarks = check_calibration(samples, graph.shapes[source.name], options.low, options.high)
    layers = pre_activations(graph, options.low, rectify_output=options.output_spikes)
    spiking = [layer for layer in layers if options.output_spikes or layer.node != graph.output]
    scales = find_scales(graph, spiking, method, samples, options.high - options.low, progress)
    plan = _Plan(graph, layers, population_names(graph, layers), scales, options)
    return Network(
        name or graph.name,
        tuple(plan.populations()),
        tuple(projection for layer in layers for projection in plan.projections(layer)),
        (plan.names[graph.output],),
        tuple(dict.fromkeys([*graph.notes, *remarks, *plan.notes()])),
    )


@dataclass(frozen=True)
class _Options:
    """The choices that shape the network, checked."""

    input: str
    low: float
    high: float
    readout: str
    reset: str
    v_init_fraction: float

    def __post_init__(self) -> None:
        check_choice("input", self.input, ("spikes", "current"))
        check_choice("readout", self.readout, ("count", "potential"))
        check_choice("reset", self.reset, ("subtract", "zero"))
        check_fraction(self.v_init_fraction)
        check_limits(self.low, self.high, "input_range")

    @property
    def output_spikes(self) -> bool:
        return self.readout == "count"


@dataclass(frozen=True)
class _Plan:
    """Everything known that the spiking network is written down from.

    Attributes:
        graph: the trained network.
        layers: what enters each population.
        names: population names by node.
        scales: lambda of the layers that spike.
        options: the user's choices.
    """

    graph: AnnGraph
    layers: tuple[PreActivation, ...]
    names: dict[str, str]
    scales: dict[str, Scale]
    options: _Options

    def unit(self, node: str) -> float:
        """What one spike a step of a node's population means; 1 for a population that never fires."""
        if node == self.graph.sources[0].name:
            return (self.options.high - self.options.low) / self._largest_input
        return self.scales[node].value if node in self.scales else 1.0

    @property
    def _largest_input(self) -> int:
        return GRADED_LEVELS if self.options.input == "current" else 1

    def populations(self) -> Iterator[Population]:
        """The input, then a population for each layer."""
        source = self.graph.sources[0].name
        yield Population(
            self.names[source],
            self.graph.shapes[source],
            maximum=self._largest_input,
            rate_scale=self.unit(source),
        )
        for layer in self.layers:
            yield Population(self.names[layer.node], layer.shape, self._neuron(layer), rate_scale=self.unit(layer.node))

    def _neuron(self, layer: PreActivation) -> NeuronModel:
        bias = compact_bias(layer.bias / self.unit(layer.node))
        if layer.node not in self.scales:
            return Integrator(bias)
        reset: Literal["subtract", "zero"] = "subtract" if self.options.reset == "subtract" else "zero"
        return IF(1.0, bias, v_init=float(self.options.v_init_fraction), reset=reset)

    def projections(self, layer: PreActivation) -> Iterator[Projection]:
        """The terms of a layer, their weights times unit(origin) / unit(layer)."""
        for term in layer.terms:
            factor = self.unit(term.origin) / self.unit(layer.node)
            chain = tuple(_scaled(synapse, factor) for synapse in term.chain)
            yield Projection(self.names[term.origin], self.names[layer.node], chain)

    def notes(self) -> Iterator[str]:
        """What the user should know of the result."""
        for node, scale in self.scales.items():
            if scale.remark:
                advice = "; read out potentials instead (readout='potential')" if node == self.graph.output else ""
                yield f"{self.names[node]}: {scale.remark}{advice}"
            if scale.silence:
                yield f"{self.names[node]}: {scale.silence}"
        for layer in self.layers:
            if np.size(compact_bias(layer.bias)) > layer.shape[0]:
                yield f"{self.names[layer.node]}: its bias differs from place to place, because of zero padding"
            yield from (_joined(self.names[layer.node], term) for term in layer.terms if len(term.layers) > 1)
        last = self.graph[self.graph.output].operation
        if isinstance(last, Rectify) and not self.options.output_spikes:
            yield f"{self.names[self.graph.output]}: the ReLU at the end is dropped for reading out potentials"


def _joined(population: str, term: Term) -> str:
    weights = sum(synapse.weight.size for synapse in term.chain if synapse.weight is not None)
    kind = next(synapse.kind for synapse in term.chain if synapse.weight is not None)
    return f"{population}: layers {', '.join(term.layers)} became one {kind} of {weights:,} weights"


def _scaled(synapse: Synapse, factor: float) -> Synapse:
    """The map, its weights (if it has any) times a factor, in float32."""
    return synapse if synapse.weight is None else synapse.with_weight((synapse.weight * factor).astype(np.float32))


def compact_bias(bias: Array) -> float | Array:
    """0.0 for no bias, else float32 per channel `(C, 1, 1)` where places agree, else per neuron."""
    if not bias.any():
        return 0.0
    positions = tuple(range(1, bias.ndim))
    spread = np.ptp(bias, axis=positions) if positions else np.zeros(1)
    if positions and spread.max() <= _SAME_BIAS * np.abs(bias).max():
        bias = bias[:, :1, :1]
    return bias.astype(np.float32)

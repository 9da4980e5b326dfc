"""The approximations of exact mode, each switched on alone, so that a report can tell where accuracy was lost.

Forms with some of them are evaluated in float, as networks of rates r with thresholds theta::

    r = max(W r + B, 0) / theta                                      (as trained)
    r = min(max(W r + B, 0) / theta, 1)                              (bounded)
    r = min(max(floor(L (W r + B) / theta + 1/2), 0), L) / L         (counted)

The last is QCFS (Bu et al., ICLR 2022, arXiv:2303.04347). Inputs are the samples' own values, or
counts over T; weights are those of the float network, or integers times their unit. Forms with
all of them are quantized networks, evaluated in integers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.coding import Encoder
from nmdeploy.convert.calibrate.rates import mean_input
from nmdeploy.convert.exact.capability import CountRules
from nmdeploy.convert.exact.layer import CountLayer, Reach
from nmdeploy.convert.exact.quantize import quantize_activations
from nmdeploy.convert.exact.quantized import QuantizedAnn
from nmdeploy.convert.exact.recipe import counts_of
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF

TRAINED = "as trained"
BOUNDED = "activations bounded"
COUNTED = "activations bounded and counted"
INPUT = "input counted"
WEIGHTS = "integer weights"
NARROWED = "integer weights, narrowed for the chip"
NOT_NARROWED = "all but narrowing"
ALL = "quantized ANN"

_BATCH = 256


@dataclass(frozen=True)
class CountForm:
    """A network of rates with some of exact mode's approximations.

    Attributes:
        network: float weights and biases.
        encoder: of the input, whose values become rates 0..1.
        input_steps: T, where the input is counted.
        counted_input: whether the input is what the encoder sends in T steps, over T.
        bounded: whether activations end at the threshold.
        levels: L, where activations are counted; None where not.
    """

    network: Network
    encoder: Encoder
    input_steps: int
    counted_input: bool = False
    bounded: bool = False
    levels: int | None = None

    def scores(self, samples: NDArray[Any]) -> Array:
        """Outputs for samples `[N, *shape]` as the encoder takes them, float64 `[N, classes]`."""
        parts = [self._scores(samples[start : start + _BATCH]) for start in range(0, len(samples), _BATCH)]
        return np.concatenate(parts)

    def _scores(self, samples: NDArray[Any]) -> Array:
        found = {self.network.inputs[0].name: self._input(samples)}
        for population in self.network.order() or ():
            if not population.is_input:
                entering = self.network.into(population.name)
                total = sum(each.apply(found[each.source]) for each in entering)
                found[population.name] = self._activated(population, total)
        scores: Array = found[self.network.outputs[0]].reshape(len(samples), -1)
        return scores

    def _input(self, samples: NDArray[Any]) -> Array:
        spikes = self.encoder.encode(samples, self.input_steps)
        if self.counted_input:
            counted: Array = spikes.mean(axis=0, dtype=np.float64)
            return counted
        return mean_input(self.encoder, samples, spikes).astype(np.float64)

    def _activated(self, population: Population, total: Any) -> Array:
        neuron: Any = population.neuron
        current: Array = total + np.asarray(neuron.bias, np.float64)
        if not isinstance(neuron, IF):
            return current
        rates = np.maximum(current / neuron.threshold, 0)
        if self.levels is not None:
            rates = np.floor(self.levels * rates + 0.5) / self.levels
        return np.minimum(rates, 1) if self.bounded or self.levels is not None else rates


@dataclass(frozen=True)
class IntegerForm:
    """A quantized network, fed by an encoder."""

    ann: QuantizedAnn
    encoder: Encoder

    def scores(self, samples: NDArray[Any]) -> Array:
        """Logits for samples `[N, *shape]` as the encoder takes them, float64 `[N, classes]`."""
        return self.ann.scores(counts_of(self.encoder, samples, self.ann.input_steps))


Form = CountForm | IntegerForm


def exact_variants(
    network: Network,
    rules: CountRules,
    encoder: Encoder,
    *,
    levels: int = 8,
    input_steps: int = 16,
    samples: Array | None = None,
) -> dict[str, Form]:
    """A float spiking network with each approximation of exact mode alone, with all but one, and with all.

    Args:
        network: as `quantize_activations` takes it.
        rules: what the chip can do.
        encoder: of the input.
        levels, input_steps, samples: as in `quantize_activations`.

    Returns:
        Forms by the names above, in this order; `ALL` is the quantized network that the chip gets.

    Raises:
        UsageError, QuantizationError: as `quantize_activations` does.
    """
    narrowed = quantize_activations(network, rules, levels=levels, input_steps=input_steps, samples=samples)
    roomy = quantize_activations(network, _Unlimited(rules.weights, rules), levels=levels, input_steps=input_steps)
    trained = CountForm(network, encoder, input_steps)
    return {
        TRAINED: trained,
        BOUNDED: replace(trained, bounded=True),
        COUNTED: replace(trained, levels=levels),
        INPUT: replace(trained, counted_input=True),
        WEIGHTS: replace(trained, network=in_reals(roomy, network)),
        NARROWED: replace(trained, network=in_reals(narrowed, network)),
        NOT_NARROWED: IntegerForm(roomy, encoder),
        ALL: IntegerForm(narrowed, encoder),
    }


def in_reals(ann: QuantizedAnn, network: Network) -> Network:
    """The quantized network's integers in the units of the float network that it was made from, float64."""
    populations = {each.name: _population(ann, each) for each in network.populations}
    projections = tuple(_projection(ann, each, network) for each in ann.network.projections)
    return replace(network, populations=tuple(populations.values()), projections=projections)


def _population(ann: QuantizedAnn, population: Population) -> Population:
    if population.is_input:
        return population
    made: Any = ann.network[population.name].neuron
    neuron: Any = population.neuron
    return replace(population, neuron=replace(neuron, bias=np.asarray(made.bias) * _unit(ann, population)))


def _unit(ann: QuantizedAnn, population: Population) -> Any:
    """What one integer unit of a population's sums is in the float network."""
    return ann.network[population.name].potential_scale / population.potential_scale


def _projection(ann: QuantizedAnn, projection: Projection, network: Network) -> Projection:
    """A projection whose integer weights count for rates in place of counts."""
    most = ann.input_steps if network[projection.source].is_input else ann.levels
    factor = _unit(ann, network[projection.target]) * most
    chain = (each if each.weight is None else each.with_weight(each.weight * factor) for each in projection.synapses)
    return replace(projection, synapses=tuple(chain))


@dataclass(frozen=True)
class _Unlimited(CountRules):
    """A chip with the weights and steps of another, and room for every sum."""

    chip: CountRules

    def step(self, wanted: float) -> int:
        return self.chip.step(wanted)

    def excess(self, layer: CountLayer, levels: int, reach: Reach) -> float:
        return 0.0

"""Bringing a float spiking network to counts whose sums a chip's potentials can hold."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from nmdeploy.convert.channels import chain_weights
from nmdeploy.convert.exact.capability import CountRules
from nmdeploy.convert.exact.layer import CountLayer, Reach
from nmdeploy.convert.exact.quantized import QuantizedAnn, check_sizes, check_structure
from nmdeploy.convert.exact.reaching import Proven, Reaching, Sampled
from nmdeploy.errors import QuantizationError, UsageError
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population
from nmdeploy.neurons import IF, Integrator
from quantize import quantize_values, round_to_integer

MOST_NARROWING = 64.0
"""A layer is scaled down by this much at most; beyond, nothing would be left of 8-bit weights."""
_FINEST = 1.02
"""Smallest factor by which a layer is scaled down further."""
_COARSEST = 2.0
"""The largest one: what a layer needs is not quite proportional to its weights."""


def quantize_activations(
    network: Network, rules: CountRules, *, levels: int = 8, input_steps: int = 16, samples: Array | None = None
) -> QuantizedAnn:
    """A float spiking network as counts, each layer scaled so that the chip's potentials hold its sums.

    A rate r becomes the count r * levels (of the input r * input_steps). Weights use their
    whole format, and the step of a layer is a number that the chip's control synapses can
    have. Where the chip cannot hold the sums, the layer is scaled down, and a note tells by
    how much.

    Args:
        network: float and feed-forward: `IF` neurons with one threshold a population, outputs that
            integrate, as from `to_spiking` with a potential read-out.
        rules: what the chip can do.
        levels: L, the largest count of a hidden neuron.
        input_steps: T, the largest count of an input.
        samples: counts of the input, `[N, *shape]`; with them sums are bounded by what they are on
            these samples, and a margin; else by what is proven for every input.

    Raises:
        UsageError: for a network that is not of this kind.
        QuantizationError: naming a layer that the chip cannot hold, or in which levels and weights leave no step.
    """
    check_structure(network)
    check_sizes(levels, input_steps)
    if network.is_integer:
        raise UsageError("exact mode starts from the float network", where=network.name)
    source = network.inputs[0]
    reaching: Reaching = Proven.from_input(source, input_steps)
    if samples is not None:
        reaching = Sampled({source.name: np.asarray(samples, dtype=np.int64)})
    work = _Work(network, rules, levels, input_steps, reaching)
    made = {each.name: work.layer(each) for each in network.order() or () if not each.is_input}
    arriving = {name: iter(layer.projections) for name, layer in made.items()}
    populations = [each if each.is_input else made[each.name].population for each in network.populations]
    projections = [next(arriving[each.target]) for each in network.projections]
    notes = (*network.notes, *work.notes)
    whole = replace(network, populations=tuple(populations), projections=tuple(projections), notes=notes)
    return QuantizedAnn(whole, levels, input_steps, work.reach, reaching.words)


@dataclass
class _Work:
    """What is known while layers are made, sources first."""

    network: Network
    rules: CountRules
    levels: int
    input_steps: int
    reaching: Reaching
    reach: dict[str, Reach] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def layer(self, population: Population) -> CountLayer:
        """The layer at the finest scale that the chip can hold."""
        narrowing = 1.0
        while True:
            layer = self._at(population, narrowing)
            reach = self.reaching.of(layer)
            excess = self.rules.excess(layer, self.levels, reach)
            if excess <= 1:
                break
            narrowing *= min(max(excess, _FINEST), _COARSEST)
            if narrowing > MOST_NARROWING:
                raise too_wide(population, excess, f"the layer is scaled down {MOST_NARROWING:g}-fold already")
        self.reach[population.name] = reach
        self.reaching.add(layer, self.levels)
        if narrowing > 1:
            why = f"the chip holds its sums ({self.reaching.words})"
            self.notes.append(f"{population.name}: scaled down {narrowing:.2f}-fold, so that {why}")
        return layer

    def _at(self, population: Population, narrowing: float) -> CountLayer:
        """The layer with weights that use 1/narrowing of their format."""
        incoming = [chain_weights(self.network, each) for each in self.network.into(population.name)]
        # One count of a source is 1/most of its rate.
        reals = [each.weight / self._most(each.projection.source) for each in incoming]
        largest = max(float(np.abs(each).max()) for each in reals) or 1.0
        unit = largest * narrowing / self.rules.weights.maximum
        neuron = population.neuron
        if isinstance(neuron, IF):
            step = self._step(population, neuron, unit)
            unit = _threshold(neuron) / (self.levels * step)
            carried: IF | Integrator = IF(step, bias=_rounded(neuron.bias, unit))
        else:
            carried = Integrator(bias=_rounded(neuron.bias if isinstance(neuron, Integrator) else 0, unit))
        scaled = replace(population, neuron=carried, potential_scale=unit * population.potential_scale)
        whole = (quantize_values(real, unit, self.rules.weights) for real in reals)
        projections = [each.with_weight(weight) for each, weight in zip(incoming, whole, strict=True)]
        return CountLayer(scaled, tuple(projections))

    def _step(self, population: Population, neuron: IF, unit: float) -> int:
        """The largest step that leaves the weights within their format."""
        wanted = _threshold(neuron) / (self.levels * unit)
        step = self.rules.step(wanted)
        if step < 1:
            raise QuantizationError(
                "levels and weights leave no step between counts",
                where=population.name,
                found=f"{wanted:.3g} units of a weight",
                limit="at least 1",
                hint="use fewer levels, or a layer with smaller sums",
            )
        return step

    def _most(self, name: str) -> int:
        return self.input_steps if self.network[name].is_input else self.levels


def too_wide(population: Population, excess: float, what: str) -> QuantizationError:
    """The error for a layer whose sums the chip cannot hold."""
    return QuantizationError(
        "the chip's potentials cannot hold the layer's sums",
        where=population.name,
        found=f"{excess:.2f} times the range; {what}",
        limit="1 times the range",
        hint="use fewer levels or input steps, bound the sums by samples, or a narrower layer",
    )


def _threshold(neuron: IF) -> float:
    return float(np.max(neuron.threshold))


def _rounded(value: Array | float | int, unit: float) -> Array | int:
    whole = round_to_integer(np.asarray(value, dtype=np.float64) / unit)
    return int(whole) if whole.ndim == 0 else whole

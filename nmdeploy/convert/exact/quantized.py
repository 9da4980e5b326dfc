"""A network whose activations are small integers: what exact mode computes, count by count, on the chip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nmdeploy.convert.exact.layer import CountLayer, Reach
from nmdeploy.convert.exact.reaching import Proven
from nmdeploy.errors import UsageError
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population
from nmdeploy.neurons import IF, Integrator

_BATCH = 100
"""Samples whose counts are kept at a time."""


@dataclass(frozen=True, eq=False)
class QuantizedAnn:
    """A feed-forward network of counts; see `CountLayer` for what a layer computes.

    Its activation is that of QCFS (Bu et al., ICLR 2022, arXiv:2303.04347) in integers.

    Attributes:
        network: integer weights, steps and biases in its neurons.
        levels: L, the largest count of a hidden neuron.
        input_steps: T, the largest count of an input.
        reach: how far the sums of each population go, by its name.
        bounds: how that is known, in words.

    Raises:
        UsageError: for a network with cycles or several inputs, or with other neurons.
    """

    network: Network
    levels: int
    input_steps: int
    reach: Mapping[str, Reach]
    bounds: str

    def __post_init__(self) -> None:
        check_structure(self.network)
        check_sizes(self.levels, self.input_steps)

    @classmethod
    def proven(cls, network: Network, levels: int, input_steps: int) -> QuantizedAnn:
        """A quantized network, trained as one, whose sums are bounded for every input.

        Raises:
            UsageError: for a network that is not of this kind, or not integer.
        """
        check_structure(network)
        check_sizes(levels, input_steps)
        if not network.is_integer:
            raise UsageError("the network is not integer", where=network.name, hint="use quantize_activations")
        reaching = Proven.from_input(network.inputs[0], input_steps)
        reach = {}
        for population in network.order() or ():
            if not population.is_input:
                layer = CountLayer(population, network.into(population.name))
                reach[population.name] = reaching.of(layer)
                reaching.add(layer, levels)
        return cls(network, levels, input_steps, reach, reaching.words)

    def layer(self, name: str) -> CountLayer:
        """A population with what enters it."""
        return CountLayer(self.network[name], self.network.into(name))

    def counts(self, given: Array) -> dict[str, Array]:
        """The counts of every population, and the logits of the outputs.

        Args:
            given: counts of the input, integers `[N, *shape]`, 0..input_steps.

        Returns:
            int64 `[N, *shape]` by population.
        """
        found = {self.network.inputs[0].name: np.asarray(given, dtype=np.int64)}
        for population in self.network.order() or ():
            if not population.is_input:
                layer = self.layer(population.name)
                found[population.name] = layer.activated(layer.sums(found), self.levels)
        return found

    def scores(self, given: Array) -> Array:
        """The logits of the only output as real values, `[N, classes]`, for counts as in `counts`."""
        output = self.network[self.network.outputs[0]]
        parts = [self.counts(given[start : start + _BATCH])[output.name] for start in range(0, len(given), _BATCH)]
        scaled: Array = np.concatenate(parts) * np.asarray(output.potential_scale)
        return scaled.reshape(len(given), -1)


def check_sizes(levels: int, input_steps: int) -> None:
    """Refuse activations without a level, and inputs without a step.

    Raises:
        UsageError: for either.
    """
    if levels < 1 or input_steps < 1:
        raise UsageError("levels and input steps are at least 1", found=f"{levels} and {input_steps}")


def check_structure(network: Network) -> None:
    """Refuse what exact mode has no meaning for.

    Raises:
        UsageError: naming it.
    """
    if len(network.inputs) != 1:
        names = ", ".join(population.name for population in network.inputs)
        raise UsageError("exact mode takes one input population", where=network.name, found=names)
    if network.has_cycle or any(projection.delay for projection in network.projections):
        raise UsageError("exact mode is for feed-forward networks without delays", where=network.name)
    for population in network.populations:
        wanted = Integrator if population.name in network.outputs else IF
        if population.is_input:
            if population.spike_range != (0, 1):
                found = "{}..{}".format(*population.spike_range)
                hint = "convert with input='spikes'"
                raise UsageError("exact mode takes binary input", where=population.name, found=found, hint=hint)
            continue
        if not isinstance(population.neuron, wanted):
            kind = "none" if population.neuron is None else population.neuron.kind
            hint = "hidden populations fire, the outputs only integrate (a potential read-out)"
            raise UsageError(f"exact mode wants {wanted.kind} here", where=population.name, found=kind, hint=hint)
        _check_threshold(population)


def _check_threshold(population: Population) -> None:
    neuron = population.neuron
    if isinstance(neuron, IF) and np.min(neuron.threshold) != np.max(neuron.threshold):
        found = f"{np.min(neuron.threshold):.4g}..{np.max(neuron.threshold):.4g}"
        hint = "normalize by layer, not by channel"
        raise UsageError("exact mode wants one threshold a population", where=population.name, found=found, hint=hint)

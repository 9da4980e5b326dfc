"""The scheme `best`: each layer's scale is the one with which its integers fire most like the layer itself.

Layer by layer, in order: the spikes that reach a layer on the chip are known from the layers
before it. It runs on them in the chip's own arithmetic, once with weights so fine that rounding
does not matter, and once for each candidate scale. The candidate whose spike counts differ least
is kept. Small scales clip the largest weights and give the others finer steps; scales that
divide the threshold keep it exact; sinabs' own integers are a candidate too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nmdeploy.coding import ConstantCurrent, DeterministicRate
from nmdeploy.convert.integers import to_integers
from nmdeploy.emulator.result import Recording, Result
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import QuantizationError
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population
from nmdeploy.neurons import EventRule, Integrator
from nmdeploy.subnetwork import behind_known
from nmdeploy.target import Chip
from quantize import IntegerFormat
from targets.dynapcnn.candidate_scales import LayerScales
from targets.dynapcnn.discretize import discretize
from targets.dynapcnn.lower import lower
from targets.dynapcnn.neuron import SpeckIAF
from targets.dynapcnn.precision import precision

SAMPLES = 16
"""Calibration samples that are used, evenly spaced among those given."""
STEPS = 16
"""Time steps that a sample is shown for."""
FINE_BITS = 12
"""Bits that the weights of the fine layer have beyond the chip's."""

_UNREACHED = 1 << 50
"""No potential of a fine layer comes near it."""

Spikes = Mapping[str, NDArray[Any]]


def search_scales(network: Network, samples: NDArray[Any] | None, chip: Chip, profile: str) -> Network:
    """Bring a float network to the chip's integers.

    Args:
        network: float, with `IF` and `Integrator` neurons.
        samples: calibration samples `[N, *shape]`, as the encoder takes them; without any (or
            for a network of several inputs) scales clip nothing.
        chip: the chip.
        profile: whose arithmetic the layers run in.

    Returns:
        The integer network; notes tell what each layer lost. No threshold is 0, if need be at
        the price of clipped weights. The same samples give the same integers.

    Raises:
        QuantizationError: for a bias where the profile has none, and whatever cannot become integers.
        FitError: for a layer that the chip cannot express.
    """
    formats = precision(chip, profile)
    if network.is_integer:
        return to_integers(network, formats)
    layers = [each for each in network.order() or () if each.neuron is not None]
    scales = {each.name: LayerScales(network, each, formats) for each in layers}
    if samples is None or not len(samples) or len(network.inputs) > 1:
        widest = {name: each.widest for name, each in scales.items()}
        integers = to_integers(network, formats, scales=widest)
        lost = [each.losses(each.widest) for each in scales.values()]
        words = "scales that clip nothing, for want of calibration samples"
        return replace(integers, notes=(*integers.notes, words, *lost))
    search = _Search(network, chip, profile, _stimulus(network, samples))
    chosen = [search.layer(each, scales[each.name]) for each in layers]
    return _assembled(network, chosen, [*network.notes, *search.notes])


def _stimulus(network: Network, samples: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Input spikes of a few samples, `[T, N, *shape]`."""
    source = network.inputs[0]
    few = samples[np.linspace(0, len(samples) - 1, min(SAMPLES, len(samples))).round().astype(int)]
    low, high = min(0.0, float(few.min())), max(1.0, float(few.max()))
    if source.maximum == 1:
        return {source.name: DeterministicRate(low=low, high=high).encode(few, STEPS)}
    return {source.name: ConstantCurrent(levels=source.maximum, low=low, high=high).encode(few, STEPS)}


@dataclass(frozen=True, eq=False, repr=False)
class _FineIAF(SpeckIAF):
    """The chip's neuron without limits of width."""

    kind: ClassVar[str] = "dynapcnn.FineIAF"

    def event_rule(self) -> EventRule:
        return replace(super().event_rule(), potential=IntegerFormat(60))


class _Search:
    """The layers done so far, and what they sent.

    Attributes:
        notes: what the layers lost.
    """

    def __init__(self, network: Network, chip: Chip, profile: str, stimulus: Spikes) -> None:
        self.network, self.chip, self.profile = network, chip, profile
        self.formats = precision(chip, profile)
        self.spikes: dict[str, NDArray[Any]] = dict(stimulus)
        self.notes: list[str] = []

    def layer(self, population: Population, scales: LayerScales) -> Network:
        """The layer in its best integers, its sources being inputs."""
        name = population.name
        alone = self._alone(name)
        goal = self._run(self._fine(alone, name, scales.unclipped), name)
        tried = [(self._error(each, name, goal), each) for each in self._candidates(alone, scales)]
        error, best = min(tried, key=lambda pair: pair[0])
        scale = float(np.max(best[name].potential_scale) / np.max(population.potential_scale))
        samples = next(iter(self.spikes.values())).shape[1]
        what = "potentials" if isinstance(population.neuron, Integrator) else "spike counts"
        self.notes.append(f"{scales.losses(scale)}, {what} off by {error:.2%} on {samples} samples (emulated)")
        if name in {projection.source for projection in self.network.projections}:
            sent = self._emulated(lower(best, self.chip, self.profile).network, name).spikes[name]
            self.spikes[name] = sent.reshape(*sent.shape[:2], *population.shape)
        return best

    def _alone(self, name: str) -> Network:
        """The float layer behind inputs that send what its sources sent."""
        layer = behind_known(self.network, name, self.spikes)
        inputs = {p.name: max(p.maximum, int(self.spikes[p.name].max(initial=1))) for p in layer.inputs}
        populations = (replace(p, maximum=inputs[p.name]) if p.is_input else p for p in layer.populations)
        return replace(layer, populations=tuple(populations))

    def _candidates(self, alone: Network, scales: LayerScales) -> Iterator[Network]:
        name = scales.population.name
        for scale in scales.candidates():
            yield to_integers(alone, self.formats, scales={name: scale})
        try:
            yield discretize(alone, self.formats)
        except QuantizationError:
            return  # sinabs' threshold is 0

    def _fine(self, alone: Network, name: str, unclipped: float) -> Network:
        """The layer on the chip, if weights and potentials had many more bits."""
        fine = replace(
            self.formats,
            weights=IntegerFormat(self.formats.weights.bits + FINE_BITS),
            threshold=IntegerFormat(53),
            bias=None if self.formats.bias is None else IntegerFormat(53),
        )
        layer = to_integers(alone, fine, scales={name: unclipped / (1 << FINE_BITS)})
        lowered = lower(layer, self.chip, self.profile).network
        ideal, neuron = layer[name].neuron, lowered[name].neuron
        changed: dict[str, Any] = {}
        if getattr(ideal, "v_min", None) is None:
            changed["threshold_low"] = -_UNREACHED
        if isinstance(ideal, Integrator):
            changed["threshold_high"] = _UNREACHED
        if isinstance(neuron, SpeckIAF):
            neuron = _FineIAF(**vars(neuron))
        wide = replace(lowered[name], neuron=replace(neuron, **changed))  # type: ignore[type-var]
        return replace(lowered, populations=tuple(wide if p.name == name else p for p in lowered.populations))

    def _error(self, layer: Network, name: str, goal: Array) -> float:
        """How far a candidate is from the goal, as a share of it."""
        made = self._run(lower(layer, self.chip, self.profile).network, name)
        off, whole = float(np.abs(made - goal).sum()), float(np.abs(goal).sum())
        return off / whole if whole else off

    def _run(self, lowered: Network, name: str) -> Array:
        """Spike counts of a lowered layer; potentials, in units of the float network, where it only integrates."""
        result = self._emulated(lowered, name)
        if isinstance(self.network[name].neuron, Integrator):
            return result.final_potentials[name] * np.asarray(lowered[name].potential_scale, dtype=np.float64)
        return result.counts[name].astype(np.float64)

    def _emulated(self, lowered: Network, name: str) -> Result:
        inputs = {each.name: self.spikes[each.name] for each in lowered.inputs}
        return emulate(lowered, inputs, steps=STEPS, record=Recording(spikes=(name,), counts=(name,)))


def _assembled(network: Network, layers: Sequence[Network], notes: Sequence[str]) -> Network:
    """The whole network in the integers of its layers."""
    found = {layer.outputs[0]: layer for layer in layers}
    arriving = {name: iter(layer.projections) for name, layer in found.items()}
    return replace(
        network,
        populations=tuple(found[p.name][p.name] if p.name in found else p for p in network.populations),
        projections=tuple(next(arriving[projection.target]) for projection in network.projections),
        notes=tuple(notes),
    )

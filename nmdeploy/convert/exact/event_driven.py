"""What exact mode asks of a chip without time steps, whose synapses add few bits with each event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nmdeploy.convert.exact.capability import CountRules
from nmdeploy.convert.exact.layer import CountLayer, Reach
from nmdeploy.convert.exact.pair import Lift, Pair
from nmdeploy.convert.exact.rules import compact
from nmdeploy.convert.exact.sweep import Geometry
from nmdeploy.errors import QuantizationError
from nmdeploy.network import Network
from nmdeploy.neurons import IF

Geometries = Callable[[Network], Mapping[str, Geometry]]
"""How a chip lays out what enters each population of a network of counts."""


@dataclass(frozen=True)
class EventDriven(CountRules):
    """A chip that takes one event after the other; its neuron fires at most once an event.

    Attributes:
        threshold: the highest threshold that no event can leave the potential's range above.
        lowest: the lowest potential from which no event can leave it below.
        geometries: how the chip lays out what enters each population.
    """

    threshold: int
    lowest: int
    geometries: Geometries

    def step(self, wanted: float) -> int:
        """The largest step d, up to `wanted`, that the fewest equal events add."""
        most = min(int(wanted), self.threshold)
        events = max(-(-most // self.weights.maximum), 1)
        return most // events * events

    def excess(self, layer: CountLayer, levels: int, reach: Reach) -> float:
        if layer.step is None:
            low, high = layer.bias + reach.low, layer.bias + reach.high
            return max(int(high.max()) / self.threshold, int(low.min()) / self.lowest)
        if levels > self.weights.maximum:
            message, where = "more levels than one event can tell", layer.population.name
            raise QuantizationError(message, where=where, found=levels, limit=self.weights.maximum)
        ramp, gate = self.lifts(layer, layer.step, levels, reach)
        lifted = gate.amount + (levels - 1) * ramp.amount
        deepest = gate.amount + levels * layer.step - int((layer.offset + reach.low).min())
        return max(lifted / self.threshold, deepest / (self.threshold - self.lowest))

    def lifts(self, layer: CountLayer, step: int, levels: int, reach: Reach) -> tuple[Lift, Lift]:
        """The ramp, which adds d, and the gate: the least that keeps every neuron below the threshold before it."""
        most = self.weights.maximum
        events = next(count for count in range(-(-step // most), step + 1) if step % count == 0)
        ramp = Lift(step // events, events)
        # Where the ramp's events are large enough the gate shares their channel, else it would take too many.
        weight = ramp.weight if 2 * ramp.weight > most else most
        highest = int((layer.offset + reach.high).max())
        return ramp, Lift(weight, max((highest - levels * step) // weight + 1, 1))

    def pair(self, layer: CountLayer, step: int, levels: int, reach: Reach, geometry: Geometry) -> Pair:
        """A hidden layer of step d that fits, as two populations."""
        ramp, gate = self.lifts(layer, step, levels, reach)
        start = compact(layer.offset + (self.threshold - gate.amount - levels * step))
        neuron = IF(self.threshold, v_init=start, reset="zero")
        return Pair(layer.population, levels, neuron, gate, ramp, geometry)

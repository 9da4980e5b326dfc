"""Proving, from a deployment's integers alone, that no order of the events within a step changes what a layer does.

It takes that the chip is left to finish every step before the next one's events are sent. Two kinds
of layers are known, those of exact mode (`nmdeploy.convert.exact.pair`):

- One that **sums**, then is lifted: while its sources fire, no partial sum reaches the threshold or
  the floor; then each step brings it events of one weight, which lift it to the threshold once.
- One that **repeats**: every neuron has one synapse with the layers before it, whose spike comes once, or never,
  and in other steps events of one weight. All moments of that spike are tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nmdeploy.coding import Clocked
from nmdeploy.convert.exact.layer import CountLayer
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from targets.dynapcnn.neuron import NO_FLOOR, STATE, SpeckIAF


@dataclass(frozen=True, eq=False)
class Firing:
    """When and how often the neurons of a population can fire, whatever the input.

    Attributes:
        active: bool `[steps]`, whether any may fire in a step.
        least, most: events of each neuron, int64 `[*shape]`.
        first, last: earliest and latest step of the event of a neuron that fires once at most, int64
            `[*shape]`; `len(active)` stands for never.
    """

    active: NDArray[np.bool_]
    least: Array
    most: Array
    first: Array
    last: Array


def order_free(network: Network, encoder: Clocked, steps: int) -> frozenset[str]:
    """The populations whose spikes in every step, and potentials behind it, hang on no order of events.

    Args:
        network: lowered.
        encoder: of its inputs.
        steps: how many steps a sample takes.
    """
    known: dict[str, Firing] = {}
    for population in network.order() or ():
        firing = None
        if population.name == encoder.input:
            firing = _of_input(population, encoder, steps)
        elif isinstance(population.neuron, SpeckIAF):
            core = _Core.of(network, population, population.neuron, known, encoder, steps)
            firing = None if core is None else core.firing()
        if firing is not None:
            known[population.name] = firing
    return frozenset(known) - {encoder.input}


def _of_input(population: Population, encoder: Clocked, steps: int) -> Firing:
    none = np.zeros(population.shape, dtype=np.int64)
    active = np.arange(steps) < encoder.input_steps
    return Firing(active, none, none + encoder.input_steps * encoder.largest, none, none + steps)


@dataclass(frozen=True, eq=False)
class _Lift:
    """Events of one weight in a step: how many each neuron gets."""

    weight: int
    events: Array


@dataclass(frozen=True, eq=False)
class _Core:
    """A population with what enters it.

    Attributes:
        population, neuron: its own.
        sources: projections from populations whose firing is known.
        firings: of these, by population.
        lifts: what clocks bring, by step.
        active: bool `[steps]`, whether a source may fire.
    """

    population: Population
    neuron: SpeckIAF
    sources: list[Projection]
    firings: Mapping[str, Firing]
    lifts: Mapping[int, _Lift]
    active: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        network: Network,
        population: Population,
        neuron: SpeckIAF,
        known: Mapping[str, Firing],
        encoder: Clocked,
        steps: int,
    ) -> _Core | None:
        """None for a layer of which nothing can be proven."""
        entering = network.into(population.name)
        sources = [each for each in entering if each.source not in encoder.clocks]
        lifts = _lifts([each for each in entering if each.source in encoder.clocks], encoder.clocks)
        if lifts is None or not all(each.source in known for each in sources) or np.any(neuron.leak):
            return None
        active = np.zeros(steps, dtype=bool)
        for each in sources:
            active |= known[each.source].active
        core = cls(population, neuron, sources, known, lifts, active)
        return core if core._within() and not any(active[step] for step in lifts) else None

    @property
    def threshold(self) -> int:
        return int(np.min(self.neuron.threshold_high))

    @property
    def start(self) -> Array:
        """Initial potentials, int64 in the population's shape."""
        return np.broadcast_to(np.asarray(self.neuron.v_init, dtype=np.int64), self.population.shape)

    def _within(self) -> bool:
        """Whether it starts below its threshold, and a clock's event leaves it there and within 16 bits."""
        largest = max((each.weight for each in self.lifts.values()), default=0)
        fits = self.threshold - 1 + largest <= STATE.maximum and int(np.max(self.neuron.threshold_low)) == NO_FLOOR
        falls = self.neuron.return_to_zero or largest <= self.threshold
        return bool(fits and falls and np.all(self.start < self.threshold) and np.all(self.start >= NO_FLOOR))

    def firing(self) -> Firing | None:
        """What is proven of its firing; None where nothing is."""
        begins = min(self.lifts, default=len(self.active))
        summing = None if self.active[begins:].any() else self._summing()
        return summing or self._repeating()

    def _summing(self) -> Firing | None:
        layer = CountLayer(self.population, tuple(self.sources))
        sources = {each.source: self.firings[each.source] for each in self.sources}
        least = layer.parts({name: each.least[None] for name, each in sources.items()})
        most = layer.parts({name: each.most[None] for name, each in sources.items()})
        lifted = sum((each.weight * each.events for each in self.lifts.values()), np.zeros_like(self.start))
        stays = np.all(self.start + most[1][0] < self.threshold) and np.all(self.start + most[0][0] >= NO_FLOOR)
        once = self.neuron.return_to_zero and int(lifted.max()) <= self.threshold
        if not stays or (self.lifts and not once):
            return None
        first = self._reached(self.start + most[1][0] + least[0][0])
        last = self._reached(self.start + least[1][0] + most[0][0])
        never, active = len(self.active), np.zeros_like(self.active)
        active[list(self.lifts)] = True
        return Firing(active, (last < never).astype(np.int64), (first < never).astype(np.int64), first, last)

    def _reached(self, potential: Array) -> Array:
        """The step in which lifts take each neuron to the threshold."""
        found = np.full(potential.shape, len(self.active), dtype=np.int64)
        for step in sorted(self.lifts):
            potential = potential + self.lifts[step].weight * self.lifts[step].events
            found[(potential >= self.threshold) & (found == len(self.active))] = step
        return found

    def _repeating(self) -> Firing | None:
        if len(self.sources) != 1:
            return None
        (entering,) = self.sources
        source, only, never = self.firings[entering.source], _connected(entering), len(self.active)
        ones = np.ones((1, *source.most.shape), dtype=np.int64)
        has, weights = only.apply(ones)[0], entering.apply(ones)[0]
        highest = self.threshold - 1 + int(weights.max())
        falls = self.neuron.return_to_zero or weights.max() <= self.threshold
        if source.most.max() > 1 or has.max() > 1 or weights.min() < 0 or highest > STATE.maximum or not falls:
            return None
        first = np.where(has > 0, only.apply(source.first[None])[0], never)
        last = np.where(has > 0, only.apply(source.last[None])[0], never)
        least, most = np.full_like(first, STATE.maximum), np.zeros_like(first)
        for moment in (*np.flatnonzero(source.active).tolist(), never):
            possible, count = (first <= moment) & (moment <= last), self._counted(moment, weights)
            least = np.where(possible, np.minimum(least, count), least)
            most = np.where(possible, np.maximum(most, count), most)
        active = self.active.copy()
        active[list(self.lifts)] = True
        return Firing(active, least, most, np.zeros_like(first), np.full_like(first, never))

    def _counted(self, moment: int, weights: Array) -> Array:
        """How often each neuron fires if what it waits for comes in step `moment`."""
        potential, count = self.start, np.zeros_like(self.start)
        brought = {step: list(_single_events(lift)) for step, lift in self.lifts.items()}
        if moment < len(self.active):
            brought[moment] = [weights]
        for step in sorted(brought):
            for weight in brought[step]:
                potential = potential + weight
                fired = potential >= self.threshold
                count = count + fired
                potential = np.where(fired, 0 if self.neuron.return_to_zero else potential - self.threshold, potential)
        return count


def _single_events(lift: _Lift) -> Iterator[Array]:
    """What each event of a lift adds to each neuron."""
    for number in range(int(lift.events.max())):
        yield lift.weight * (lift.events > number)


def _lifts(projections: list[Projection], clocks: Mapping[str, Array]) -> dict[int, _Lift] | None:
    """What clocks bring, by step; None where a step brings a neuron events of several weights, or inhibition."""
    found: dict[int, _Lift] = {}
    for projection in projections:
        train = clocks[projection.source]
        weights = {
            int(each)
            for synapse in projection.synapses
            if synapse.weight is not None
            for each in np.unique(synapse.weight)
        }
        used = weights - {0}
        if len(used) != 1 or min(used) < 0:
            return None
        events = _connected(projection)
        for step in np.flatnonzero(train.reshape(len(train), -1).any(axis=1)).tolist():
            if step in found:
                return None
            found[step] = _Lift(min(used), events.apply(train[step][None])[0])
    return found


def _connected(projection: Projection) -> Projection:
    """The projection with weights of 1 where it has any."""
    synapses = (
        each if each.weight is None else each.with_weight((each.weight != 0).astype(np.int8))
        for each in projection.synapses
    )
    return replace(projection, synapses=tuple(synapses))

"""Exact mode on chips without time steps, whose synapses add few bits with each event.

No single event can lift a layer of such a chip from where it sums to where it fires, and
with many of them a neuron far above the top count would fire more than once. So a hidden layer
takes two populations, with L levels, step d, and S = W n + B + h:

1. `<layer>.sum` starts so low that no order of its inputs makes it fire, and adds them up.
   When the last has arrived, a gate lifts it until S = L d reaches the threshold, then a ramp
   adds d, L - 1 times. A neuron fires **once**: from 0, to which it is reset, what is left of the
   lift does not take it to the threshold again. So it fires in the gate where S >= L d, in the
   j-th ramp where floor(S / d) = L - j, and never where S < d.
2. `<layer>` repeats. A neuron starts at 1 - L, with threshold 1; the spike of its partner adds L, so
   that it fires at once and is reset to 0. Before every ramp a drive adds 1: too little for
   one that still waits, a spike of each that has fired. Its count is 1 + (drives behind
   the partner's spike) = min(max(floor(S / d), 0), L).

The order of events plays no part: while sums add up nothing can fire, and after that a
neuron gets events of one weight within a step, all of which are taken before the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from nmdeploy.convert.exact.clocks import drive_of, gate_of, sum_of
from nmdeploy.convert.exact.sweep import Geometry, Sweep
from nmdeploy.linear_maps import Array
from nmdeploy.network import Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.schedule import Schedule
from nmdeploy.synapses import OneToOne, Reshape, Synapse

_MOST_EVENTS = 255
"""Events of a neuron in one step of an encoder: spikes are uint8."""


@dataclass(frozen=True)
class Lift:
    """Equal events that add an amount to a neuron.

    Attributes:
        weight: of each.
        events: how many.
    """

    weight: int
    events: int

    @property
    def amount(self) -> int:
        """What they add."""
        return self.weight * self.events

    @property
    def steps(self) -> list[int]:
        """Events in each of the fewest steps that hold them."""
        full, rest = divmod(self.events, _MOST_EVENTS)
        return [_MOST_EVENTS] * full + [rest] * (rest > 0)


@dataclass(frozen=True, eq=False)
class Clock:
    """A population of the host's that sends the same events for every sample.

    Attributes:
        role: what it is for.
        name: of the population.
        target: the population that it lifts.
        weight: of an event.
        sweep: where its events are sent, so that each neuron gets one.
        times: how many sweeps in which step, from the first of the gate on.
    """

    role: str
    name: str
    target: str
    weight: int
    sweep: Sweep
    times: Mapping[int, int]

    @property
    def events(self) -> int:
        """Events of an inference."""
        return self.sweep.events * sum(self.times.values())


@dataclass(frozen=True, eq=False)
class Pair:
    """A hidden layer as two populations, and the clocks that run them.

    Attributes:
        population: of the layer.
        levels: L.
        neuron: of the one that sums.
        gate, ramp: what lifts it.
        geometry: of what enters it.
    """

    population: Population
    levels: int
    neuron: IF
    gate: Lift
    ramp: Lift
    geometry: Geometry

    @property
    def entry(self) -> str:
        """The name of the population that takes what enters the layer."""
        return sum_of(self.population.name)

    @property
    def steps(self) -> int:
        """From the first step of the gate to the last of the ramp."""
        return len(self.gate.steps) + (self.levels - 1) * (1 + len(self.ramp.steps))

    @cached_property
    def clocks(self) -> tuple[Clock, Clock, Clock]:
        """Gate and ramp of the population that sums, and the drive of the one that repeats."""
        name, entry = self.population.name, self.entry
        gates, ramps, drives = self._times()
        lifting = Sweep.of(self.geometry)
        plain = Sweep.of(Geometry(self.geometry.made[1:], self.geometry.made, (1, 1)))
        return (
            Clock("gate", gate_of(entry), entry, self.gate.weight, lifting, gates),
            Clock("ramp", drive_of(entry), entry, self.ramp.weight, lifting, ramps),
            Clock("drive", drive_of(name), name, 1, plain, drives),
        )

    def populations(self, start: int) -> Iterator[Population]:
        """All of them, when the gate opens in step `start`."""
        gate, ramp, drive = (_schedule(clock.times, start) for clock in self.clocks)
        firing = Schedule((*gate.spans, *ramp.spans))
        yield replace(self.population, name=self.entry, neuron=self.neuron, rate_scale=1.0, schedule=firing)
        repeating = IF(1, v_init=1 - self.levels, reset="zero")
        always = Schedule((*firing.spans, *drive.spans))
        yield replace(self.population, neuron=repeating, potential_scale=1.0, schedule=always)
        for clock, schedule in zip(self.clocks, (gate, ramp, drive), strict=True):
            most = max(clock.times.values(), default=1)
            yield Population(clock.name, clock.sweep.pixels.shape, maximum=most, schedule=schedule)

    def projections(self) -> Iterator[Projection]:
        """From the clocks, and from one population to the other."""
        shape = self.population.shape
        shaped: tuple[Synapse, ...] = () if len(shape) == 3 else (Reshape(shape),)
        for clock in self.clocks:
            yield Projection(clock.name, clock.target, (clock.sweep.synapses(clock.weight), *shaped))
        yield Projection(self.entry, self.population.name, (OneToOne(np.array([self.levels], dtype=np.int8)),))

    def trains(self, start: int, total: int) -> dict[str, Array]:
        """Events of the clocks, uint8 `[total, *shape]`, when the gate opens in step `start`."""
        found = {}
        for clock in self.clocks:
            pixels = clock.sweep.pixels
            found[clock.name] = np.zeros((total, *pixels.shape), dtype=np.uint8)
            for step, count in clock.times.items():
                found[clock.name][start + step] = count * pixels
        return found

    def notes(self) -> Iterator[str]:
        """How many events the host sends for the layer."""
        parts = [f"{each.role} {each.events:,}" for each in self.clocks]
        whole = sum(each.events for each in self.clocks)
        yield f"{self.population.name}: {whole:,} events of the host an inference ({', '.join(parts)})"

    def _times(self) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
        """Sweeps by step, of gate, ramp and drive."""
        gates = dict(enumerate(self.gate.steps))
        ramps: dict[int, int] = {}
        drives: dict[int, int] = {}
        end = len(gates)
        for _ in range(self.levels - 1):
            drives[end] = 1
            ramps |= dict(enumerate(self.ramp.steps, end + 1))
            end += 1 + len(self.ramp.steps)
        return gates, ramps, drives


def _schedule(times: Mapping[int, int], start: int) -> Schedule:
    return Schedule(tuple((start + step, 1) for step in times))

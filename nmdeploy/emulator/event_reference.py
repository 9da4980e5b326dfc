"""The definition of an emulation event by event: one event after the other, nothing clever.

The compiled event engine must equal it to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator.event_network import WIDE, firing_order, initial_potential, rule_of, ticks
from nmdeploy.emulator.event_order import InputEvents
from nmdeploy.emulator.event_paths import LOST, Path, Rows
from nmdeploy.emulator.timings import Timings
from nmdeploy.errors import EmulationOverflow
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import held

Array = NDArray[Any]
Event = tuple[int, int]
"""A neuron (row-major number) that sent a spike, and the number of the input event that caused it."""
TICK = -1
"""The cause of an event that no input event caused, but a tick of the slow clock."""


class EventReference:
    """One sample's run of an event-driven network, by definition.

    There are no time steps. Every population is a core that takes events one after the
    other, in the order in which they arrive. An event of neuron j, over a projection, goes
    through the chain: reshapes and pools give it another address (a pixel that no pooling
    window reads loses it), and the map that spreads it reaches some neurons, with a weight w
    for each, 0 included. These neurons take it in the order of `EventRule.order`::

        v := potential format (v + w)
        v := max(v, low)                  (where given, when `clamps_events`)
        s := [v >= threshold]             (only when w > 0, unless `fires_on_any`)
        v := v - s * subtract             (or v := 0 where s, when subtract is None)

    Each that fires sends one event, in that order, to every projection that leaves the
    population, in the order of `network.projections`. An initial potential is compared
    with nothing before an event arrives.

    **Merging.** A core with one source meets its events in the order in which they were
    sent, however the cores' work interleaves. With several sources the order is chosen
    here: input event by input event; for one input event, source by source, in the order
    of the projections that enter the core; a source's event acts over each of its
    projections before its next event does. (On a chip that order depends on timing.)

    **Time steps** only group input events, and what is counted and recorded; all events
    that a step's input causes are taken before the step ends. At its end, the slow clock of
    every population with a leak ticks once, for all its neurons in the order of the rule::

        v := potential format (v + leak);  v := max(v, low)
        s := [v >= threshold], with the reset above     (only when `fires_on_tick`)

    and the events that the ticks cause are taken as those of one more input event.

    Potentials without a format are exact; 64 bits hold them.

    Args:
        network: one that `check_event_network` accepts.
        timings: gets seconds, or None.
        counts_fit: whether a neuron that sends more events in a step than its `largest_spike` is an overflow.
    """

    origin = "emulated (event reference)"

    def __init__(self, network: Network, *, counts_fit: bool = True, timings: Timings | None = None) -> None:
        self.counts_fit, self.timings = counts_fit, timings
        self.populations = network.order() or ()
        self.cores = {p.name: _Core(network, p) for p in self.populations if not p.is_input}
        self.begin()

    def begin(self) -> None:
        """Start a fresh sample."""
        for core in self.cores.values():
            core.begin()
        self._totals: dict[str, Array] = {
            name: np.zeros(core.population.size, np.int64) for name, core in self.cores.items()
        }

    def run(self, given: Mapping[str, InputEvents], steps: int, start: int = 0, sample: int = 0) -> None:
        """Run the next `steps` steps, of which `counts` and the others tell then.

        Args:
            given: events of the inputs in these steps.
            steps: how many.
            start, sample: what errors call the first step, and the sample.

        Raises:
            EmulationOverflow: naming population, step, sample and neuron.
        """
        self._steps: dict[str, list[_Step]] = {name: [] for name in self.cores}
        for step in range(steps):
            sent = {name: _Sent(_arriving(events, step), []) for name, events in given.items()}
            for name, core in self.cores.items():
                began = perf_counter()
                try:
                    sent[name] = core.step(sent)
                    counts = self._count(core, sent[name])
                except EmulationOverflow as overflow:
                    raise overflow.at(name, start + step, sample) from overflow
                self._totals[name] += counts
                self._steps[name].append(_Step(counts, core.v.copy(), sent[name]))
                if self.timings is not None:
                    self.timings.add(name, perf_counter() - began)
                    self.timings.add_kernels(name, {"reference": 1})

    def counts(self, name: str) -> Array:
        """Events of each neuron in each of the last `run`'s steps, `[steps, *shape]`."""
        return self._shaped(name, np.stack([step.counts for step in self._steps[name]]))

    def potentials(self, name: str) -> Array:
        """Potentials at the end of each of these steps, int64 `[steps, *shape]`."""
        return self._shaped(name, np.stack([step.potentials for step in self._steps[name]]))

    def total(self, name: str) -> Array:
        """Events of each neuron of a population since the sample began, int64 `[*shape]`."""
        return self._shaped(name, self._totals[name])

    def potential(self, name: str) -> Array:
        """Potentials now, int64 `[*shape]`."""
        return self._shaped(name, self.cores[name].v)

    def sent(self, name: str) -> tuple[Array, Array]:
        """Neurons (row-major) and causes of the events of the last `run`, which had one step, in order."""
        events = np.array(self._steps[name][-1].sent.all, np.int64).reshape(-1, 2)
        return events[:, 0], events[:, 1]

    def _shaped(self, name: str, values: Array) -> Array:
        return values.reshape(*values.shape[:-1], *self.cores[name].population.shape)

    def _count(self, core: _Core, sent: _Sent) -> Array:
        """Events of each neuron in a step."""
        population = core.population
        counts = np.bincount(np.array([neuron for neuron, _ in sent.all], np.int64), minlength=population.size)
        too_many = np.flatnonzero(counts > population.spike_range[1])
        if self.counts_fit and len(too_many):
            raise EmulationOverflow(
                "more spikes of a neuron in one step than its model can tell",
                index=_place(population, int(too_many[0])),
                found=int(counts[too_many[0]]),
                limit=population.spike_range[1],
            )
        return counts


@dataclass(frozen=True, eq=False)
class _Sent:
    """What a population sends in a step: until the tick of the slow clock, and from it on."""

    before: list[Event]
    after: list[Event]

    @property
    def all(self) -> list[Event]:
        """Both, in order."""
        return self.before + self.after


@dataclass(frozen=True, eq=False)
class _Step:
    """What a population did in a step: counts and potentials at its end, by neuron, and what it sent."""

    counts: Array
    potentials: Array
    sent: _Sent


class _Core:
    """One population: its neurons, and what enters it."""

    def __init__(self, network: Network, population: Population) -> None:
        self.population, self.rule = population, rule_of(population)
        self.format = WIDE if self.rule.potential is None else self.rule.potential
        self.in_order = firing_order(population.shape, self.rule.order)
        entering = network.into(population.name)
        self.sources = tuple(dict.fromkeys(projection.source for projection in entering))
        ranks = np.argsort(self.in_order)
        self.entries = {
            source: [_Entry.of(network, projection, ranks) for projection in entering if projection.source == source]
            for source in self.sources
        }
        rule = self.rule
        self.threshold, self.subtract = (_flat(each, population) for each in (rule.threshold, rule.subtract))
        self.low, self.leak = _flat(rule.low, population), _flat(rule.leak, population)
        self.begin()

    def begin(self) -> None:
        self.v: Array = initial_potential(self.population)

    def step(self, sent: Mapping[str, _Sent]) -> _Sent:
        """One step, given what the populations before this one send in it."""
        before = list(self.take_all([sent[source].before for source in self.sources]))
        ticked = [(neuron, TICK) for neuron in self.tick()] if ticks(self.rule) else []
        return _Sent(before, ticked + list(self.take_all([sent[source].after for source in self.sources])))

    def take_all(self, arriving: list[list[Event]]) -> Iterator[Event]:
        """Take the events of all sources, merged; yields what is sent."""
        for source, neuron, cause in _merged(dict(zip(self.sources, arriving, strict=True))):
            for entry in self.entries[source]:
                address = entry.path.addresses[neuron]
                if address != LOST:
                    yield from ((fired, cause) for fired in self.take(*entry.rows.of(address)))

    def take(self, reached: Array, weights: Array) -> Iterable[int]:
        """The reached neurons, which are in order, take an event; those that fire."""
        v = self._held(reached, self.v[reached] + weights)
        if self.low is not None and self.rule.clamps_events:
            v = np.maximum(v, self.low[reached])
        can_fire = np.ones(len(v), bool) if self.rule.fires_on_any else weights > 0
        return self._fire(reached, v, can_fire)

    def tick(self) -> Iterable[int]:
        """One tick of the slow clock; those that fire."""
        everyone = self.in_order
        v = self._held(everyone, self.v[everyone] + self.leak[everyone])
        if self.low is not None:
            v = np.maximum(v, self.low[everyone])
        return self._fire(everyone, v, np.full(len(v), self.rule.fires_on_tick))

    def _held(self, neurons: Array, v: Array) -> Array:
        """Potentials v of neurons in their format."""
        try:
            return held(v, self.format, "membrane potential")
        except EmulationOverflow as overflow:
            first = int(neurons[overflow.index[0]]) if overflow.index else 0
            place = _place(self.population, first)
            raise EmulationOverflow(
                overflow.what, index=place, found=overflow.found, limit=overflow.limit
            ) from overflow

    def _fire(self, neurons: Array, v: Array, can_fire: Array) -> Iterable[int]:
        """Neurons of potentials v fire where they can; sets what remains."""
        fired = can_fire & (v >= self.threshold[neurons]) if self.threshold is not None else np.zeros(len(v), bool)
        after = 0 if self.subtract is None else v - self.subtract[neurons]
        self.v[neurons] = np.where(fired, after, v)
        sent: list[int] = neurons[fired].tolist()
        return sent


@dataclass(frozen=True, eq=False)
class _Entry:
    """A projection into a core."""

    path: Path
    rows: Rows

    @classmethod
    def of(cls, network: Network, projection: Projection, ranks: Array) -> _Entry:
        path = Path.of(network, projection)
        return cls(path, path.rows(ranks))


def _merged(arriving: Mapping[str, list[Event]]) -> Iterator[tuple[str, int, int]]:
    """(source, neuron, cause) of all events: by cause, then source by source, then as sent."""
    events = [
        (cause, place, source, neuron)
        for place, (source, sent) in enumerate(arriving.items())
        for neuron, cause in sent
    ]
    for cause, _, source, neuron in sorted(events, key=lambda event: event[:2]):
        yield source, neuron, cause


def _arriving(events: InputEvents, step: int) -> list[Event]:
    """The events of an input in a step."""
    neurons, numbers = events.step(step)
    return list(zip(neurons.tolist(), numbers.tolist(), strict=True))


def _flat(value: Any, population: Population) -> Any:
    """A parameter for each neuron, int64; None stays."""
    return None if value is None else np.broadcast_to(value, population.shape).ravel().astype(np.int64)


def _place(population: Population, neuron: int) -> tuple[int, ...]:
    """A neuron as errors name it, in sample 0."""
    return (0, *(int(axis) for axis in np.unravel_index(neuron, population.shape)))

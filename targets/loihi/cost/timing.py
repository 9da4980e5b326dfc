"""How long the steps of one inference last: the slowest core of each, and the barrier after it.

A core works off the synaptic operations of arriving spikes and updates its neurons, one
after the other (Davies et al. 2018, table 2, gives the time of each); cores work in
parallel, and a step ends at a barrier that all of them reach.

- At least, spikes travel while cores compute and cost no time, only needed synapses are
  walked, and an update is active only where a neuron fires.
- At most, a core waits for each of its spikes to arrive, every synapse is walked, and every
  update of a neuron that has anything to do is active.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmdeploy.cost import Range
from targets.loihi.cost.activity import Events, arrivals
from targets.loihi.cost.wiring import Wiring, drive

Times = NDArray[np.float64]


@dataclass(frozen=True)
class Clock:
    """Seconds that events take on a core.

    Attributes:
        operation: one synaptic operation.
        idle_update: one update of a compartment with nothing to do.
        active_extra: what an active update takes beyond that.
        delivery: by sending population, `[neurons]`: the sum over the cores that a spike goes to.
        barrier: one barrier.
    """

    operation: float
    idle_update: float
    active_extra: float
    delivery: Mapping[str, Times]
    barrier: Range


def inference_time(
    wiring: Wiring, events: Events, busy: Mapping[str, NDArray[np.bool_]], clock: Clock, steps: int
) -> Range:
    """Seconds of one inference.

    Where steps are not known one by one, the slowest core of each step is bounded from
    the totals of the cores.

    Args:
        wiring: the placed network.
        events: the spikes of one sample.
        busy: its neurons with anything to do, from `busy_neurons`.
        clock: what events take.
        steps: steps of the run.
    """
    idle = clock.idle_update * _held(wiring, {name: np.ones(each.shape, dtype=bool) for name, each in busy.items()})
    occupied = idle + clock.active_extra * _held(wiring, busy)
    least, most = _work_time(wiring, events, clock, steps)
    shortest = (idle * steps / len(least) + least).max(axis=1).sum()
    known = len(most) == steps
    longest = (occupied + most).max(axis=1).sum() if known else steps * occupied.max() + most.sum()
    return Range(float(shortest), float(longest)) + clock.barrier.times(steps)


def _held(wiring: Wiring, neurons: Mapping[str, NDArray[np.bool_]]) -> Times:
    """Compartments of the chosen neurons on each core, `[cores]`."""
    held = np.zeros(len(wiring.places))
    for name, count in wiring.compartments.items():
        held += count * drive(wiring.homes[name], neurons[name])
    return held


def _work_time(wiring: Wiring, events: Events, clock: Clock, steps: int) -> tuple[Times, Times]:
    """Seconds that events take on each core beyond that, least and most, `[steps, cores]` or `[1, cores]`."""
    rows = len(next(iter(events.values())))
    least, most = (np.zeros((rows, len(wiring.places))) for _ in range(2))
    for fan in wiring.fans:
        few, many = arrivals(events[fan.source], fan.delay, steps)
        least += clock.operation * drive(fan.needed, few)
        most += clock.operation * drive(fan.every, many)
    for name, count in wiring.compartments.items():
        fired = drive(wiring.homes[name], events[name])
        least += clock.active_extra * count * fired
        if count > 1:  # the synapse from the soma back to the dendrite
            least += clock.operation * fired
            most += clock.operation * fired
        if name in clock.delivery:
            most += drive(wiring.homes[name], events[name] * clock.delivery[name])
    return least, most

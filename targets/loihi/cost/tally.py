"""The events of a run, counted over all its samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmdeploy.cost import Range, total
from nmdeploy.emulator.result import Result
from nmdeploy.network import Network
from targets.loihi.cost.activity import arrivals, busy_neurons, events_of_samples
from targets.loihi.cost.timing import Clock, inference_time
from targets.loihi.cost.wiring import Wiring, drive


@dataclass(frozen=True)
class Tally:
    """Events of all samples of a run.

    Attributes:
        samples: number of samples.
        spikes: by population, `[neurons]`.
        operations: synaptic operations by name of projection: at least those of weights
            other than zero, at most all.
        busy: by placed population, neurons that had anything to do, summed over samples.
        time: seconds of one inference, mean over samples; None where it is not known what events take.
    """

    samples: int
    spikes: Mapping[str, NDArray[np.int64]]
    operations: Mapping[str, Range]
    busy: Mapping[str, int]
    time: Range | None


def count(network: Network, wiring: Wiring, result: Result, clock: Clock | None) -> Tally:
    """Count the events of every sample of `result`.

    Raises:
        UsageError: when the run tells too little.
    """
    spikes = {population.name: np.zeros(population.size, dtype=np.int64) for population in network.populations}
    busy = dict.fromkeys(wiring.homes, 0)
    needed = dict.fromkeys((fan.name for fan in wiring.fans), 0)
    times = []
    for events in events_of_samples(network, result):
        at_work = busy_neurons(network, events, result.steps)
        for name in spikes:
            spikes[name] += events[name].sum(axis=0, dtype=np.int64)
        for name in busy:
            busy[name] += int(np.count_nonzero(at_work[name]))
        for fan in wiring.fans:
            arriving = arrivals(events[fan.source], fan.delay, result.steps)[0].sum(axis=0, dtype=np.int64)
            needed[fan.name] += int(drive(fan.needed, arriving).sum())
        if clock is not None:
            times.append(inference_time(wiring, events, at_work, clock, result.steps))
    operations = {name: Range(each, int(result.synaptic_operations[name].sum())) for name, each in needed.items()}
    time = total(times)
    return Tally(result.samples, spikes, operations, busy, None if time is None else time.times(1 / result.samples))

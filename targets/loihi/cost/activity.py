"""What happened in a run, sample by sample: spikes, their arrivals, and which neurons had anything to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator.result import Result
from nmdeploy.errors import UsageError
from nmdeploy.network import Network, Population, Projection
from targets.loihi.neuron import LoihiLIF

Spikes = NDArray[np.uint8] | NDArray[np.int64]
"""Of one population: uint8 `[steps, neurons]`, or int64 `[1, neurons]` where only their number in the run is known."""
Events = Mapping[str, Spikes]
"""Spikes by population, all in the same form."""


def step_by_step(network: Network, result: Result) -> bool:
    """Whether the run kept every spike of every step."""
    return all(
        population.name in result.spikes and len(result.spikes[population.name]) == result.steps
        for population in network.populations
    )


def events_of_samples(network: Network, result: Result) -> Iterator[Events]:
    """The spikes of each sample: step by step when the run kept them, else their number.

    Raises:
        UsageError: when the run kept neither, or only sums of graded spikes.
    """
    if step_by_step(network, result):
        for sample in range(result.samples):
            yield {name: _flat((spikes[:, sample] != 0).view(np.uint8)) for name, spikes in result.spikes.items()}
        return
    for population in network.populations:
        _check_counts(population, result)
    for sample in range(result.samples):
        yield {name: _flat(counts[sample : sample + 1]) for name, counts in result.counts.items()}


def _flat(spikes: Spikes) -> Spikes:
    return spikes.reshape(len(spikes), -1)


def _check_counts(population: Population, result: Result) -> None:
    low, high = population.spike_range
    if population.name in result.counts and low >= 0 and high <= 1:
        return
    found = "graded spikes" if population.name in result.counts else "nothing recorded"
    hint = "record every spike: Recording(spikes=('*',))"
    raise UsageError("the run does not tell how often each neuron fired", where=population.name, found=found, hint=hint)


def arrivals(fired: Spikes, delay: int, steps: int) -> tuple[Spikes, Spikes]:
    """Least and most spikes that arrive within a run of `steps`, in the shape of `fired`.

    They are the same when steps are known; of a mere number, up to `delay` may be too late.
    """
    if len(fired) < steps:
        return np.maximum(fired - delay, 0), fired
    arriving = np.concatenate([np.zeros_like(fired[:delay]), fired[: max(0, steps - delay)]])
    return arriving, arriving


def busy_neurons(network: Network, events: Events, steps: int) -> dict[str, NDArray[np.bool_]]:
    """By placed population, the neurons `[neurons]` whose state can have been other than zero in some step.

    They have a bias or an initial state, fired, or a spike came to them. In the whole run
    no other neuron had anything to update.
    """
    placed = [population for population in network.populations if not population.is_input]
    busy = {population.name: _driven(population) | events[population.name].any(axis=0) for population in placed}
    for projection in network.projections:
        arrived = arrivals(events[projection.source], projection.delay, steps)[1].any(axis=0)
        source = np.reshape(arrived, (1, *network[projection.source].shape)).astype(np.int64)
        busy[projection.target] |= _reaching(projection).apply(source).ravel() > 0
    return busy


def _reaching(projection: Projection) -> Projection:
    """The projection with a weight of 1 wherever its own is not 0."""
    synapses = [
        synapse if synapse.weight is None else synapse.with_weight((synapse.weight != 0).astype(np.int8))
        for synapse in projection.synapses
    ]
    return replace(projection, synapses=tuple(synapses))


def _driven(population: Population) -> NDArray[np.bool_]:
    neuron = population.neuron
    if not isinstance(neuron, LoihiLIF):  # nothing is known of a foreign model: it may always be busy
        return np.ones(population.size, dtype=bool)
    driven = (neuron.bias != 0) | (np.asarray(neuron.u_init) != 0) | (np.asarray(neuron.v_init) != 0)
    return np.array(np.broadcast_to(driven, population.shape)).ravel()

"""Whether a run stayed where Lava 0.10.0 and the chip agree.

The design rules prove this for every input; here one run is looked at, value by value.
Lava has no dendritic accumulator of limited width, shifts a connection's sum by the
weight exponent where the chip shifts every synapse, wraps u but not u + bias, and takes
delays of 63 steps. The chip is nengo-loihi's emulator (`emulator/interface.py`,
`builder/discretize.py`) and Brian2Loihi (Michaelis et al. 2022, Frontiers in
Neuroinformatics 16:1015624).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from nmdeploy.emulator.result import Result
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.target import Chip, Rule, Violation
from targets.loihi import rules
from targets.loihi.neuron import ALIGNMENT, DECAY_OFFSET_U, LoihiLIF, LoihiLIFReset, decayed
from targets.loihi.weights import STORED_BITS, is_storable

PARAMETER_RULES: tuple[Rule, ...] = (
    rules.storable_weights,
    rules.threshold_range,
    rules.bias_range,
    rules.decay_range,
    rules.initial_state,
    rules.spike_values,
)
"""Rules on what a chip can store, whatever runs on it."""


LARGEST_STORED = (1 << STORED_BITS) - 1
"""The largest magnitude of a weight in a connection of one sign."""
MOST_PARTS = 3
"""Connections that `in_storable_parts` gives a sign; larger weights are left to the rule LOI005."""


def in_storable_parts(network: Network) -> Network:
    """The network with connections that no sign mode can store split into some that can be.

    Lava's Conv keeps odd weights of both signs, and more than 8 bits, which one connection
    of the chip cannot (rule LOI005). An excitatory and an inhibitory connection, or more
    of each where weights are beyond 255, add up to the same sums.
    """
    projections = [each for projection in network.projections for each in _split(projection)]
    return replace(network, projections=tuple(projections))


def _split(projection: Projection) -> list[Projection]:
    chain, last = projection.synapses[:-1], projection.synapses[-1]
    weight = last.weight
    if weight is None or is_storable(weight) or projection.exponent:
        return [projection]
    if np.abs(weight).max() > MOST_PARTS * LARGEST_STORED:
        return [projection]
    parts = []
    for _ in range(MOST_PARTS):
        part = np.clip(weight, -LARGEST_STORED, LARGEST_STORED)
        parts += [np.maximum(part, 0), np.minimum(part, 0)]
        weight = weight - part
    # A part in the accumulator of the whole would wrap alone; the chip's accumulator has its own rule, LOI007.
    return [
        replace(projection, synapses=(*chain, last.with_weight(part)), accumulator=None) for part in parts if part.any()
    ]


def departures(network: Network, result: Result, chip: Chip) -> Iterator[Violation]:
    """Where the chip would differ from Lava in this run, population by population.

    Args:
        network: a network of Loihi neurons.
        result: its run with Lava's arithmetic, with all spikes and all potentials, `u` included.
        chip: the chip.
    """
    for rule in PARAMETER_RULES:
        yield from rule(network, chip)
    for population, neuron in rules.lif_populations(network):
        arriving = np.zeros_like(result.potentials[population.name])
        for projection in network.into(population.name):
            spikes = _delayed(result.spikes[projection.source], projection.delay)
            sent = _through(projection, spikes)
            yield from _exponent_fault(network, projection, spikes, sent)
            yield from _delay_fault(projection, sent, chip)
            arriving += sent
        yield from _accumulator_fault(population, arriving, chip)
        yield from _current_fault(population, neuron, arriving, result.potentials[f"{population.name}.u"], chip)


def _delayed(spikes: Array, delay: int) -> Array:
    late = np.zeros(spikes.shape, dtype=np.int64)
    late[delay:] = spikes[: max(len(spikes) - delay, 0)]
    return late


def _through(projection: Projection, spikes: Array) -> Array:
    """What Lava delivers in each step, `[T, N, *target shape]`."""
    sums = projection.apply(spikes.reshape(-1, *spikes.shape[2:]))
    shifted = sums << projection.exponent if projection.exponent >= 0 else sums >> -projection.exponent
    kept = shifted if projection.accumulator is None else projection.accumulator.apply(shifted)
    return np.asarray(kept).reshape(*spikes.shape[:2], *kept.shape[1:])


def _exponent_fault(network: Network, projection: Projection, spikes: Array, sent: Array) -> Iterator[Violation]:
    """Whether a shift of every synapse, toward minus infinity, gives other sums than Lava's shift of the sum."""
    if projection.exponent >= 0:
        return
    synapses = projection.matrix(network[projection.source].shape)
    synapses.data >>= -projection.exponent
    each = (synapses @ spikes.reshape(spikes.shape[0] * spikes.shape[1], -1).T).T.reshape(sent.shape)
    message = f"the weight exponent {projection.exponent} cuts bits off weights, Lava's off their sum"
    yield from _first("LOI006", projection.name, message, sent, np.asarray(each) != sent, None)


def _delay_fault(projection: Projection, sent: Array, chip: Chip) -> Iterator[Violation]:
    limit = 1 + chip.limit("delay_steps")
    if projection.delay > limit and sent.any():
        yield Violation("LOI014", projection.name, "the delay is out of range", projection.delay, limit)


def _accumulator_fault(population: Population, arriving: Array, chip: Chip) -> Iterator[Violation]:
    limit = chip.limit("step_sum")
    beyond = (arriving > limit) | (arriving < -limit - 1)  # two's complement has one more below
    yield from _first("LOI007", population.name, "the sum of a step overflows the accumulator", arriving, beyond, limit)


def _current_fault(
    population: Population, neuron: LoihiLIF, arriving: Array, u: Array, chip: Chip
) -> Iterator[Violation]:
    """Whether the current, or current and bias, leaves its width; `u` as recorded, after Lava's wrap."""
    limit = (1 << (chip.limit("current_bits") - 1)) - 1
    before = np.concatenate([np.broadcast_to(neuron.u_init, u[:1].shape), u[:-1]])
    if isinstance(neuron, LoihiLIFReset):
        steps = np.arange(1, len(u) + 1).reshape(-1, *[1] * (u.ndim - 1))
        before = np.where(neuron.clears(steps), 0, before)
    current = decayed(before, np.add(neuron.du, DECAY_OFFSET_U, dtype=np.int64)) + (arriving << ALIGNMENT)
    # Lava's u ends at +2**23 instead of -2**23; their sum with the bias is two's complement on the chip.
    message, beyond = "the current overflows", np.abs(current) > limit
    yield from _first("LOI012", population.name, message, current, beyond, limit)
    both = current + neuron.bias
    message, beyond = "current and bias overflow", (both > limit) | (both < -limit - 1)
    yield from _first("LOI012", population.name, message, both, beyond, limit)


def _first(code: str, where: str, message: str, values: Array, faulty: Array, limit: int | None) -> Iterator[Violation]:
    """The first faulty element of `[T, N, *shape]`, if there is one."""
    if not faulty.any():
        return
    step, _sample, *neuron = (int(index) for index in np.argwhere(faulty)[0])
    place = f"{where}, step {step}, neuron {tuple(neuron)}"
    yield Violation(code, place, message, int(values[faulty][0]), limit)

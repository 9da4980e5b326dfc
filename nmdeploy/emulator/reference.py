"""The definition of an emulation: plain numpy, one step after the other, nothing clever.

Everything faster must equal this to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator.inputs import Inputs, check_inputs, select, spike_type
from nmdeploy.emulator.result import DEFAULT_RECORDING, Recording, Result
from nmdeploy.emulator.signs import parts
from nmdeploy.emulator.widths import check_integer, prove_widths
from nmdeploy.errors import EmulationOverflow
from nmdeploy.network import Network, Projection
from nmdeploy.neurons import NeuronModel, State, held

Array = NDArray[Any]
INT64 = np.dtype(np.int64)


def emulate_reference(
    network: Network, inputs: Inputs, *, steps: int | None = None, record: Recording = DEFAULT_RECORDING
) -> Result:
    """Run an integer network, by definition.

    In step t, populations are updated in an order in which sources of undelayed
    projections come first. A population's current is the sum over the projections
    that enter it; a projection delivers the spikes of step `t - delay`::

        I_t = sum of accumulator format ( 2**exponent * (synapses[-1] o ... o synapses[0])(s_{t-delay}) )

    A negative exponent is an arithmetic right shift (floor). The neuron model's
    `step` turns the current into spikes. All of it is done in int64, which is proven
    wide enough beforehand.

    Args:
        network: integer network.
        inputs: spikes by input population, integers `[T_in, N, *shape]`; the array
            alone when there is one input. Inputs are silent after T_in.
        steps: steps to run; None means T_in plus `network.latency()`.
        record: what to keep.

    Returns:
        The run; potentials are those at the end of a step, after reset.

    Raises:
        UsageError: for a float network, wrong names, or numbers that int64 may not hold.
        ShapeError, DataError: for inputs that do not fit the network.
        EmulationOverflow: where a format's rule is `raise`, naming population or
            projection, step, sample and neuron.
    """
    check_integer(network)
    stimulus = check_inputs(network, inputs, steps)
    steps, samples = stimulus.steps, stimulus.samples
    selected = select(network, record, steps)
    prove_widths(network, steps)

    populations = network.order() or ()
    entering = {p.name: [parts(network, projection) for projection in network.into(p.name)] for p in populations}
    shapes = {p.name: (samples, *p.shape) for p in populations}
    spikes = {p.name: np.zeros((steps, *shapes[p.name]), spike_type(p)) for p in populations}
    states = {p.name: p.neuron.initial_state(shapes[p.name], INT64) for p in populations if p.neuron}
    potentials = {key: np.zeros((steps, *shapes[name]), INT64) for key, (name, _) in selected.potentials.items()}

    for name, given in stimulus.spikes.items():
        spikes[name][: len(given)] = given[:steps]
    for step in range(steps):
        for population in populations:
            name, neuron = population.name, population.neuron
            if neuron is None:
                continue
            current = np.zeros((2, *shapes[name]) if neuron.separate_signs else shapes[name], INT64)
            for projection in entering[name]:
                if step >= projection[0].delay:
                    current += contribution(projection, spikes[projection[0].source], step)
            spikes[name][step] = advance(name, neuron, states[name], current, step)
            for key, (owner, variable) in selected.potentials.items():
                if owner == name:
                    potentials[key][step] = states[name][variable]

    return Result(
        spikes={name: spikes[name][record.steps] for name in selected.spikes},
        potentials={key: recorded[record.steps] for key, recorded in potentials.items()},
        counts={name: spikes[name].sum(axis=0, dtype=INT64) for name in selected.counts},
        final_potentials={name: states[name]["v"] for name in network.outputs if name in states},
        total_spikes={name: per_sample(spikes[name].astype(INT64).sum(axis=0)) for name in spikes},
        synaptic_operations=synaptic_operations(network, spikes, steps),
        steps=steps,
        samples=samples,
        origin="emulated (reference)",
    )


def contribution(projection: tuple[Projection, ...], spikes: Array, step: int) -> Array:
    """What a projection, whole or in halves by sign, delivers in `step`: `[N, *shape]` or `[2, N, *shape]`.

    Args:
        projection: as from `signs.parts`.
        spikes: the source's spikes, `[steps, N, *source shape]`.
        step: the time step.
    """
    try:
        sums = [deliver(part, part.apply(spikes[step - part.delay])) for part in projection]
    except EmulationOverflow as overflow:
        raise overflow.at(projection[0].name, step) from overflow
    return sums[0] if len(sums) == 1 else np.stack(sums)


def deliver(projection: Projection, sums: Array) -> Array:
    """accumulator format ( 2**exponent * sums ), the shift to the right being arithmetic.

    Args:
        projection: gives exponent and accumulator.
        sums: int64 results of the chain of linear maps, samples first.

    Raises:
        EmulationOverflow: when a sum leaves an accumulator whose rule is `raise`.
    """
    scaled = sums << projection.exponent if projection.exponent >= 0 else sums >> -projection.exponent
    return held(scaled, projection.accumulator, "accumulator")


def advance(name: str, neuron: NeuronModel, state: State, current: Array, step: int) -> Array:
    """One `step` of population `name`; an overflow is told with its place."""
    try:
        return neuron.step(state, current)
    except EmulationOverflow as overflow:
        raise overflow.at(name, step) from overflow


def synaptic_operations(network: Network, spikes: Mapping[str, Array], steps: int) -> dict[str, NDArray[np.int64]]:
    """By projection name, `[N]`: spikes (of any value but 0) that arrive within the run, times their fan-out."""
    operations: dict[str, NDArray[np.int64]] = {}
    for projection in network.projections:
        fan_out = projection.fan_out(network[projection.source].shape)
        arriving = spikes[projection.source][: max(0, steps - projection.delay)]
        performed = per_sample((arriving != 0).sum(axis=0, dtype=INT64) * fan_out)
        # Parallel projections, which differ in delay, share a name.
        operations[projection.name] = operations.get(projection.name, 0) + performed
    return operations


def per_sample(values: Array) -> NDArray[np.int64]:
    """Sums of `[N, *shape]` over neurons: int64 `[N]`."""
    total: NDArray[np.int64] = values.reshape(len(values), -1).sum(axis=1)
    return total

"""What a vendor's software or a board recorded, as the emulator would return it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator.event_network import is_event_driven
from nmdeploy.emulator.inputs import Selection, Stimulus, spike_type
from nmdeploy.emulator.reference import per_sample, synaptic_operations
from nmdeploy.emulator.result import Result
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network


def make_result(
    network: Network,
    stimulus: Stimulus,
    selected: Selection,
    recorded: Mapping[str, Array],
    origin: str,
    remarks: tuple[str, ...] = (),
) -> Result:
    """A run as the emulator would return it.

    Args:
        network: what ran.
        stimulus: its input.
        selected: what was asked for.
        recorded: `name.spikes`, `name.u`, `name.v` as `[steps, N, *shape]`, `name.final_v` as `[N, *shape]`;
            sums are made of the populations whose spikes are there, final potentials are those that are there.
        origin: what ran it.
        remarks: what it had to report.
    """
    steps, samples = stimulus.steps, stimulus.samples
    spikes = {}
    for population in network.populations:
        if population.is_input:
            given = stimulus.spikes[population.name][:steps]
            spikes[population.name] = np.zeros((steps, samples, *population.shape), spike_type(population))
            spikes[population.name][: len(given)] = given
        elif f"{population.name}.spikes" in recorded:
            spikes[population.name] = recorded[f"{population.name}.spikes"]
    potentials = {
        key: recorded[f"{name}.{variable}"][list(selected.steps)].astype(np.int64)
        for key, (name, variable) in selected.potentials.items()
    }
    complete = len(spikes) == len(network.populations)
    sums = {name: values.sum(axis=0, dtype=np.int64) for name, values in spikes.items()}
    finals = {name: f"{name}.final_v" for name in network.outputs if f"{name}.final_v" in recorded}
    return Result(
        spikes={name: spikes[name][list(selected.steps)] for name in selected.spikes},
        potentials=potentials,
        counts={name: sums[name] for name in selected.counts},
        final_potentials={name: recorded[key].astype(np.int64) for name, key in finals.items()},
        total_spikes={name: per_sample(values) for name, values in sums.items()},
        synaptic_operations=_operations(network, spikes, sums, steps) if complete else {},
        steps=steps,
        samples=samples,
        origin=origin,
        remarks=remarks,
    )


def _operations(
    network: Network, spikes: Mapping[str, Array], sums: Mapping[str, Array], steps: int
) -> dict[str, NDArray[np.int64]]:
    """Synaptic operations as the emulator counts them: of an event-driven network, for every event."""
    if not is_event_driven(network):
        return synaptic_operations(network, spikes, steps)
    operations: dict[str, NDArray[np.int64]] = {}
    for projection in network.projections:
        performed = per_sample(sums[projection.source] * projection.fan_out(network[projection.source].shape))
        operations[projection.name] = operations.get(projection.name, 0) + performed
    return operations

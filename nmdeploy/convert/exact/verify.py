"""Whether a run kept what exact mode promises: no count differs, and no neuron fires before its gate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.coding import Clocked
from nmdeploy.convert.exact.clocks import gate_of
from nmdeploy.convert.exact.quantized import QuantizedAnn
from nmdeploy.deployment import Deployment
from nmdeploy.emulator.result import Recording, Result
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import UsageError
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population

BATCH = 100
"""Samples whose counts are computed at a time."""
RECORDED = 20
"""Samples whose spikes are kept, of every neuron and step, at a time."""


def mismatches(ann: QuantizedAnn, network: Network, given: Array, result: Result) -> dict[str, int]:
    """How many counts and logits of a run are not those of the quantized network, by population.

    Args:
        ann: what should be computed.
        network: what ran: the exact network, or what a chip makes of it.
        given: counts of the input, `[N, *shape]`.
        result: its run, recorded with `counts=("*",)`.
    """
    outputs = ann.network.outputs
    numbers = {
        each.name: _logits(ann, network, each.name, result) if each.name in outputs else result.counts[each.name]
        for each in ann.network.populations
        if not each.is_input
    }
    found = dict.fromkeys(numbers, 0)
    for start in range(0, len(given), BATCH):
        part = slice(start, start + BATCH)
        wanted = ann.counts(given[part])
        for name, values in numbers.items():
            # A chip may lay neurons out in another shape, in the same order.
            found[name] += int(np.count_nonzero(values[part].reshape(wanted[name].shape) != wanted[name]))
    return found


def _logits(ann: QuantizedAnn, network: Network, name: str, result: Result) -> Array:
    """Final potentials in the units of the quantized network; a chip's are a whole multiple of them."""
    deployed, wanted = network[name], ann.network[name]
    units = np.rint(_by_neuron(wanted, wanted.potential_scale) / _by_neuron(deployed, deployed.potential_scale))
    from_zero = result.final_potentials[name] - np.asarray(deployed.potential_offset, dtype=np.int64)
    logits: Array = from_zero.reshape(len(from_zero), -1) / units.astype(np.int64)
    return logits


def _by_neuron(population: Population, value: float | Array) -> Array:
    """A parameter for each neuron, in one row."""
    return np.broadcast_to(value, population.shape).ravel()


def early_spikes(deployment: Deployment, samples: NDArray[Any]) -> dict[str, int]:
    """How many spikes came before the gate of their population, by population; with proven bounds none can.

    Args:
        deployment: of an exact network.
        samples: `[N, *shape]`, in the encoder's range.

    Raises:
        UsageError: for another deployment.
    """
    network, encoder = deployment.network, deployment.encoder
    if not isinstance(encoder, Clocked):
        raise UsageError("only exact mode has gates", where=network.name)
    opens = _openings(network, encoder)
    found = dict.fromkeys(opens, 0)
    names = [population.name for population in network.inputs]
    for start in range(0, len(samples), RECORDED):
        spikes = encoder.inputs(names, samples[start : start + RECORDED], deployment.steps)
        run = emulate(deployment, spikes, record=Recording(spikes=tuple(opens)))
        for name, step in opens.items():
            found[name] += int(run.spikes[name][:step].sum())
    return found


def _openings(network: Network, encoder: Clocked) -> dict[str, int]:
    """The step in which each hidden population may fire first, where the network runs."""
    opens = {}
    for projection in network.projections:
        if projection.source == gate_of(projection.target):
            train = encoder.clocks[projection.source]
            active = train.reshape(len(train), -1).any(axis=1)
            opens[projection.target] = int(np.argmax(active)) + projection.delay
    return opens

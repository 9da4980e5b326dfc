"""Splitting a projection by the sign of its weights, for chips that accumulate them apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nmdeploy.errors import NetworkError
from nmdeploy.linear_maps import working_type
from nmdeploy.network import Network, Projection
from nmdeploy.synapses import Array, OneToOne, Synapse


def parts(network: Network, projection: Projection) -> tuple[Projection, ...]:
    """The projection itself, or its excitatory and inhibitory halves where the target wants them apart.

    The halves carry the positive weights and the magnitudes of the negative ones, so
    that the map of the projection is the first less the second; delay, exponent and
    accumulator are those of the projection.

    Raises:
        NetworkError: for a chain that has no such halves: several synapses with
            weights, or spikes below 0.
    """
    neuron = network[projection.target].neuron
    if neuron is None or not neuron.separate_signs:
        return (projection,)
    faults = []
    if sum(synapse.weight is not None for synapse in projection.synapses) > 1:
        faults.append(f"{projection.name}: signs are summed apart, which allows one synapse with weights in the chain")
    if network[projection.source].spike_range[0] < 0:
        faults.append(f"{projection.name}: signs are summed apart, which allows no spikes below 0")
    if faults:
        raise NetworkError(faults, where=network.name)
    return _half(projection, 1), _half(projection, -1)


def _half(projection: Projection, sign: int) -> Projection:
    synapses = tuple(_clipped(synapse, sign) for synapse in projection.synapses)
    if sign < 0 and all(synapse.weight is None for synapse in synapses):
        synapses += (OneToOne(np.zeros(1, dtype=np.int8)),)  # weights of 1 throughout: nothing is negative
    return replace(projection, synapses=synapses)


def _clipped(synapse: Synapse, sign: int) -> Synapse:
    if synapse.weight is None:
        return synapse
    # The magnitude of the most negative integer needs a wider type than the weight's own.
    weight: Array = synapse.weight.astype(working_type(synapse.weight))
    return synapse.with_weight(np.maximum(sign * weight, 0))

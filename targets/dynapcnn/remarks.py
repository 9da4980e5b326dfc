"""What a user should know of a lowered network: codes DYN101 to DYN107."""

from __future__ import annotations

from typing import Any

import numpy as np

from nmdeploy.network import Network, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Reshape
from nmdeploy.target import Violation, warning
from targets.dynapcnn.neuron import SpeckIAF


def remarks(network: Network, lowered: Network) -> list[Violation]:
    """What lowering changed, and what the result needs, as warnings.

    Args:
        network: the integer network of ideal neurons.
        lowered: the same in the chip's terms.
    """
    found = []
    for population in network.populations:
        if isinstance(population.neuron, Integrator):
            found += _horizon(lowered, population.name)
        elif isinstance(population.neuron, IF):
            found += _one_more(population.name, population.neuron)
        if np.any(getattr(population.neuron, "v_init", 0)):
            largest = int(np.max(np.abs(getattr(population.neuron, "v_init", 0))))
            message = "the initial potential is not 0; the host must write it again before every sample"
            found.append(warning("DYN103", population.name, message, largest, 0))
    return [*found, *_clock(lowered), *_addresses(lowered), *_delays(network)]


def _horizon(lowered: Network, name: str) -> list[Violation]:
    """For how many events an integrator provably reaches neither the threshold nor the floor."""
    neuron: Any = lowered[name].neuron
    parts = [abs(each) for projection in lowered.into(name) for each in _weight_range(projection)]
    largest = max(*parts, int(np.max(np.abs(neuron.leak))))
    if not largest:
        return []
    room = min(neuron.threshold_high, -neuron.threshold_low) - 1 - int(np.max(np.abs(neuron.v_init)))
    message = "the chip has no neuron that never fires: this one has the largest threshold, which it cannot reach"
    hint = "read its potential (the board does), and keep runs short enough or check that potentials stay small"
    return [
        warning("DYN101", name, f"{message} within so many events", f"{max(0, room // largest)} events", None, hint)
    ]


def _weight_range(projection: Projection) -> tuple[int, int]:
    weight: Any = projection.synapses[-1].weight
    return int(weight.min()), int(weight.max())


def _one_more(name: str, neuron: IF) -> list[Violation]:
    if neuron.fire != ">" or neuron.reset != "subtract":
        return []
    message = "fires above its threshold, so the chip's is one unit higher, and a spike subtracts one unit more"
    return [warning("DYN102", name, message, hint="convert with fire='>='")]


def _clock(lowered: Network) -> list[Violation]:
    """What profile `leak` needs of the outside."""
    ticking = [
        p.name for p in lowered.populations if isinstance(p.neuron, SpeckIAF) and np.any(np.not_equal(p.neuron.leak, 0))
    ]
    if not ticking:
        return []
    message = "biases tick with the slow clock, which must run at one tick a time step"
    hint = "set its rate to 1 / (duration of a step); every tick sweeps over all neurons of these cores"
    return [warning("DYN104", ", ".join(ticking), message, hint=hint)]


def _addresses(lowered: Network) -> list[Violation]:
    return [
        warning("DYN106", each.source, "the host addresses the input by another shape", str(each.synapses[0].shape))
        for each in lowered.projections
        if isinstance(each.synapses[0], Reshape)
    ]


def _delays(network: Network) -> list[Violation]:
    delayed = [each for each in network.projections if each.delay]
    message = "the chip has no delays: what was to arrive later arrives at once"
    return [warning("DYN107", each.name, message, f"{each.delay} steps", 0) for each in delayed]

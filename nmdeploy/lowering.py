"""What lowering has to tell on more than one chip: neurons that cannot be lowered, and what is not quite kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from nmdeploy.bounds import population_bound
from nmdeploy.network import Network, Population
from nmdeploy.neurons import IF, Integrator
from nmdeploy.target import Violation, warning


def neuron_refusals(population: Population, own: type[Any], prefix: str) -> list[Violation]:
    """Why a population's neuron is no ideal one that a chip could express; empty when it is one, or an input.

    Args:
        population: of an integer network.
        own: base of the chip family's neuron models.
        prefix: of the family's codes (`LOI`). 110: another model, 111: a format of the potential,
            116: a model of the family's own beside ideal ones.
    """
    neuron, where = population.neuron, population.name
    if neuron is None:
        return []
    if isinstance(neuron, own):
        message = "a neuron of the chip's own beside ideal ones"
        hint = "lower the ideal network as a whole, or give every population one of the chip's neurons"
        return [Violation(f"{prefix}116", where, message, neuron.kind, "IF, Integrator", hint)]
    if not isinstance(neuron, (IF, Integrator)) or neuron.kind not in (IF.kind, Integrator.kind):
        return [Violation(f"{prefix}110", where, "the neuron model cannot be lowered", neuron.kind, "IF, Integrator")]
    if neuron.potential is None:
        return []
    message, bits = "the potential has a format of its own", f"{neuron.potential.bits} bits"
    return [Violation(f"{prefix}111", where, message, bits, "none", "leave the potential's format to the chip")]


def steps_within(network: Network, where: str, neuron: Integrator, room: int) -> int | None:
    """For how many steps an integrator provably moves by no more than `room`; None where it never moves.

    Args:
        network: an integer network.
        where: the integrator's population.
        neuron: its model.
        room: from its initial potential to the nearest one that matters; below 0, it is there already.
    """
    current = population_bound(network, where).interval
    each = max(abs(current.minimum + int(np.min(neuron.bias))), abs(current.maximum + int(np.max(neuron.bias))))
    return None if each == 0 else max(0, room // each)


def slower_loop(network: Network, code: str) -> Violation:
    """The warning of a network whose timing `nmdeploy.latency.relative_delays` could not keep."""
    message = "a loop has fewer steps of delay than synapse layers: every projection is one step slower than asked"
    hint = "give the projections of the loop a delay of at least 1 each"
    return warning(code, network.name, message, hint=hint)

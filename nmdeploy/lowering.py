"""What no chip of ours can lower of a neuron, told once."""

from __future__ import annotations

from typing import Any

from nmdeploy.network import Population
from nmdeploy.neurons import IF, Integrator
from nmdeploy.target import Violation


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

"""A network as a chain of populations, and what NetX has to be told about the whole of it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from nmdeploy.latency import LATENCY
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import OneToOne
from targets.loihi.netx.faults import Faults
from targets.loihi.netx.schema import Arguments
from targets.loihi.neuron import FORGET, LoihiLIF, LoihiLIFReset

_CHAIN = "layers of a .net file form one chain"


def in_sequence(network: Network) -> list[Population]:
    """The populations from the input to the output.

    Raises:
        FitError: when they form no chain (`LOI301`).
    """
    faults = Faults()
    if len(network.inputs) != 1:
        faults.add("LOI301", network.name, _CHAIN, f"{len(network.inputs)} inputs", 1)
    order = [network.inputs[0]]
    while following := {p.target for p in network.out_of(order[-1].name)} - {p.name for p in order}:
        if len(following) > 1:
            faults.add("LOI301", order[-1].name, _CHAIN, f"it projects to {', '.join(sorted(following))}", 1)
        order.append(network[min(following)])
    for before, here in pairwise(order):
        entering = sorted({p.source for p in network.into(here.name)} - {here.name})
        if entering != [before.name]:
            faults.add("LOI301", here.name, _CHAIN, f"it receives from {', '.join(entering)}", before.name)
    if len(order) == 1 or network.outputs != (order[-1].name,):
        faults.add(
            "LOI301", network.name, "NetX's output is the last layer", ", ".join(network.outputs), order[-1].name
        )
    faults.check()
    return order


def arguments_of(populations: list[Population], *, biases_driven: bool, faults: Faults) -> Arguments:
    """NetX's arguments beside the file.

    Args:
        populations: from `in_sequence`.
        biases_driven: whether the input is the biases of the first neurons, see `drives_biases`.
        faults: takes `LOI306`.
    """
    low, high = populations[0].spike_range
    graded = (low, high) != (0, 1) and not biases_driven
    bits = max(-low, high).bit_length() + (low < 0) if graded else 0
    first = populations[1].neuron
    if not any(isinstance(each.neuron, LoihiLIFReset) for each in populations) or first is None:
        return Arguments(input_message_bits=bits)
    for index, population in enumerate(populations[1:]):
        if not _clears_in_turn(first, population, index):
            message = "NetX clears all layers in one interval, each one step after the layer before"
            faults.add("LOI306", population.name, message, _clearing(population))
            return Arguments(input_message_bits=bits)
    interval, offset = getattr(first, "interval", 1), getattr(first, "offset", 0)
    return Arguments(interval, (offset - 1) % interval, bits)


def _clears_in_turn(first: object, population: Population, index: int) -> bool:
    neuron = population.neuron
    if not isinstance(first, LoihiLIFReset) or not isinstance(neuron, LoihiLIFReset):
        return False
    return neuron.interval == first.interval and (neuron.offset - first.offset - index) % first.interval == 0


def _clearing(population: Population) -> str:
    neuron = population.neuron
    if isinstance(neuron, LoihiLIFReset):
        return f"interval {neuron.interval}, offset {neuron.offset}"
    return "never cleared"


def drives_biases(source: Population, target: Population, projections: list[Projection]) -> bool:
    """Whether graded inputs are the biases of a population, as NetX has it for an input layer with neurons.

    Args:
        source, target: the input and the population after it.
        projections: all that enter `target`.
    """
    neuron = target.neuron
    return (
        source.spike_range != (0, 1)
        and len(projections) == 1
        and (projections[0].delay, projections[0].exponent) == (LATENCY, 0)
        and source.shape == target.shape
        and source.minimum == 0
        and [synapse.kind for synapse in projections[0].synapses] == [OneToOne.kind]
        and drive_sign(projections[0]) in (-1, 1)
        and isinstance(neuron, LoihiLIF)
        and bool(np.all(np.equal(neuron.du, FORGET)))
        and len(np.unique(neuron.bias)) == 1
    )


def drive_sign(projection: Projection) -> int:
    """The one weight of a one-to-one projection; 0 where there are several."""
    weights = np.unique(np.asarray(projection.synapses[0].weight))
    return int(weights[0]) if len(weights) == 1 else 0

"""A number of cores that no placement can go below.

For each resource, what all populations need at least, whatever neurons lie where, over
what a core has. A population's neurons spread over at least ceil(size / most neurons of
a core) cores, and a source neuron that reaches n of them reaches at least
ceil(n / most neurons) cores. Every weight that is not 0 is stored at least once, in
blocks that carry a header.
"""

from __future__ import annotations

from collections.abc import Mapping

from nmdeploy.target import Chip
from targets.loihi.mapper.layer import Layer
from targets.loihi.mapper.resources import BLOCK_HEADER_BITS, WORD_BITS
from targets.loihi.mapper.sharing import SynapseLists


def least_cores(layers: Mapping[str, Layer], chip: Chip) -> int:
    """Cores that the layers need at least in every placement that the model allows."""
    needs = [each for layer in layers.values() for each in _compartments(layer)]
    by_neurons = -(-sum(needs) // _COMMON)
    totals = least_totals(layers, chip)
    limits = {name: chip.limit(name) for name in totals if name in chip.figures}
    by_resource = [-(-totals[name] // limit) for name, limit in limits.items()]
    return max([1, by_neurons, *by_resource, *(layer.least_cores for layer in layers.values())])


_COMMON = 1 << 40


def _compartments(layer: Layer) -> list[int]:
    # In units of 2**-40 core, rounded down: delays make cores of different sizes.
    return [layer.population.size * layer.compartments * _COMMON // layer.limits["compartments"]]


def least_totals(layers: Mapping[str, Layer], chip: Chip) -> dict[str, int]:
    """What all cores together need at least, by resource."""
    totals = {"compartments": 0, "input_axons": 0, "output_axons": 0}
    words = 0
    bits, block = chip.limit("weight_bits"), chip.limit("block_synapses")
    for layer in layers.values():
        size = layer.population.size
        totals["compartments"] += size * layer.compartments
        again = size if layer.compartments > 1 else 0
        totals["input_axons"] += again
        totals["output_axons"] += again
        words += again
        for lists in layer.entering:
            axons = _least_axons(lists, layer)
            totals["input_axons"] += axons
            totals["output_axons"] += axons if lists.source in layers else 0
            words += -(-lists.weights * (block * bits + BLOCK_HEADER_BITS) // (block * WORD_BITS))
    return {**totals, "synaptic_words": words}


def _least_axons(lists: SynapseLists, layer: Layer) -> int:
    by_source = int((-(-lists.fan_out // layer.most_neurons)).sum())
    return max(by_source, layer.least_cores * int(lists.fan_in.min()))

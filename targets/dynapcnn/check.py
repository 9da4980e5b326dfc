"""An independent re-walk of a finished placement.

Shares no code with the mapper: it reads the weights of the network itself, puts the address
fields of every core's memories together anew, and counts who sends to whom.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nmdeploy.coverage import coverage_faults, place_of
from nmdeploy.deployment import CoreLoad, Placement
from nmdeploy.network import Network, Projection
from nmdeploy.target import Chip, Severity, Violation

_MEMORIES = ("kernel_words", "neuron_words", "bias_words")


def recheck(network: Network, placement: Placement, chip: Chip) -> list[Violation]:
    """Everything that is wrong with `placement`, and a warning for each layer that lies on two cores.

    Args:
        network: the lowered network.
        placement: what the mapper made of it.
        chip: the chip it was made for.
    """
    found = coverage_faults(network, placement, chip, "DYN") or [
        *_shared_cores(placement),
        *_torn_channels(network, placement),
    ]
    if found:  # what is not where it should be cannot be counted
        return found
    return [*_memories(network, placement, chip), *_destinations(network, placement, chip), *_merges(placement)]


def _shared_cores(placement: Placement) -> Iterator[Violation]:
    """A core holds one layer, and a chip is one."""
    seen: dict[tuple[int, int], CoreLoad] = {}
    for load in placement.cores:
        first = seen.setdefault((load.chip, load.core), load)
        if first is not load:
            message = "the core holds two layers, or one twice"
            yield Violation("DYN035", place_of(load), message, f"{first.population}, {load.population}", 1)
        if load.chip:
            yield Violation("DYN035", place_of(load), "a network lies on one chip", load.chip, 0)


def _torn_channels(network: Network, placement: Placement) -> Iterator[Violation]:
    """A core holds whole channels, one after the other."""
    for load in placement.cores:
        shape = network[load.population].shape
        pixels = int(np.prod(shape[1:]))
        first, count = int(load.neurons[0]), len(load.neurons)
        whole = first % pixels == 0 and count % pixels == 0
        if not whole or not np.array_equal(load.neurons, np.arange(first, first + count)):
            message = "the core does not hold whole channels in a row"
            yield Violation(
                "DYN038", place_of(load), message, f"{count} neurons from {first} on", f"{pixels} a channel"
            )


def _memories(network: Network, placement: Placement, chip: Chip) -> Iterator[Violation]:
    """Words are what was declared, and no more than the core has."""
    for load in placement.cores:
        counted, limits = _words(network, load), placement.limits_of(load)
        for name in _MEMORIES:
            limit = int(chip.figures[f"{name}_{load.core}"].value)
            what = name.replace("_", " ")
            if counted[name] > limit:
                yield Violation("DYN036", place_of(load), f"too many {what}", counted[name], limit)
            if load.used.get(name) != counted[name]:
                message = f"declared {what} differ from a recount"
                yield Violation("DYN037", place_of(load), message, load.used.get(name), counted[name])
            if limits.get(name) != limit:
                message = f"declared limit of {what} is not the core's"
                yield Violation("DYN037", place_of(load), message, limits.get(name), limit)


def _words(network: Network, load: CoreLoad) -> Mapping[str, int]:
    """What the neurons of a core take of its memories."""
    population = network[load.population]
    neuron: Any = population.neuron
    height, width = population.shape[1:] if len(population.shape) == 3 else (1, 1)
    filters = len(load.neurons) // (height * width)
    tables = {}
    for projection in network.into(population.name):
        channels, taps, content = _kernels(network, projection)
        tables[content] = (channels, taps)
    kernel = sum(_table(channels, taps, filters) for channels, taps in tables.values())
    biased = np.asarray(neuron.leak).shape != () or neuron.leak != 0
    return dict(zip(_MEMORIES, (kernel, _table(filters, height, width), filters * biased), strict=True))


def _kernels(network: Network, projection: Projection) -> tuple[int, int, bytes]:
    """Input channels and taps of a projection's kernels, and what tells their weights from others."""
    weight = next(synapse.weight for synapse in reversed(projection.synapses) if synapse.weight is not None)
    shape = network[projection.source].shape
    channels = weight.shape[1] if weight.ndim == 4 else shape[0]
    taps = int(np.prod(weight.shape[1:])) // channels
    return channels, taps, weight.astype(np.int64).tobytes()


def _table(rows: int, *fields: int) -> int:
    """Words of a table whose index is the row, then a bit field for each further number."""
    words = rows
    for field in fields:
        width = 1
        while width < field:
            width *= 2
        words *= width
    return words


def _destinations(network: Network, placement: Placement, chip: Chip) -> Iterator[Violation]:
    """A core sends to no more cores than it has destinations, each part of a layer counted."""
    limit = int(chip.figures["destinations"].value)
    for load in placement.cores:
        reached = sum(len(placement.of(each.target)) for each in network.projections if each.source == load.population)
        if reached > limit:
            yield Violation("DYN039", place_of(load), "the core sends to too many cores", reached, limit)


def _merges(placement: Placement) -> Iterator[Violation]:
    """Layers on two cores, which fire at the same time."""
    for name in dict.fromkeys(load.population for load in placement.cores):
        cores = [load.core for load in placement.of(name)]
        if len(cores) > 1:
            message = (
                "the layer lies on several cores; their events meet in an order that is not the same from run to run"
            )
            hint = "a smaller layer fits one core"
            held = ", ".join(map(str, cores))
            yield Violation("DYN048", name, message, f"cores {held}", "one core", hint, Severity.WARNING)

"""An independent re-walk of a finished placement.

Shares no code with the mapper: it walks the unrolled matrices source neuron by source
neuron. It finds neurons that are missing or placed twice, cores that do not
exist or are overfull, and usage that was declared wrongly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from nmdeploy.deployment import CoreLoad, Placement
from nmdeploy.network import Network
from nmdeploy.target import Chip, Violation


def recheck(network: Network, placement: Placement, chip: Chip) -> list[Violation]:
    """Everything that is wrong with `placement`; empty when it is sound.

    Args:
        network: the lowered network.
        placement: what the mapper made of it.
        chip: the chip it was made for.
    """
    found = [*_coverage(network, placement), *_cores(placement, chip)]
    if found:  # what is not where it should be cannot be counted
        return found
    return list(_usage(network, placement, chip))


def _coverage(network: Network, placement: Placement) -> Iterator[Violation]:
    """Every neuron lies on exactly one core, and nothing else does."""
    names = {population.name for population in network.populations if not population.is_input}
    for load in placement.cores:
        if load.population not in names:
            yield Violation("LOI030", _where(load), "the core holds no population of the network", load.population)
    for population in network.populations:
        held = Counter(int(neuron) for load in placement.of(population.name) for neuron in load.neurons)
        wanted = range(0) if population.is_input else range(population.size)
        missing = [neuron for neuron in wanted if neuron not in held]
        foreign = [neuron for neuron in held if neuron not in wanted]
        twice = [neuron for neuron, times in held.items() if times > 1]
        if missing:
            message = f"{len(missing)} neurons lie on no core"
            yield Violation("LOI031", population.name, message, f"first: {missing[0]}")
        if twice:
            message = f"{len(twice)} neurons lie on more than one core"
            yield Violation("LOI032", population.name, message, f"first: {twice[0]}")
        if foreign:
            message = "neurons that the population does not have"
            yield Violation("LOI033", population.name, message, foreign[0], f"0..{len(wanted) - 1}")


def _cores(placement: Placement, chip: Chip) -> Iterator[Violation]:
    """Cores exist on the chip, and none is used twice."""
    cores = int(chip.figures["cores"].value)
    times = Counter((load.chip, load.core) for load in placement.cores)
    for load in placement.cores:
        if load.chip != 0 or not 0 <= load.core < cores:
            yield Violation("LOI034", _where(load), "there is no such core", load.core, f"0..{cores - 1} on chip 0")
        if times[load.chip, load.core] > 1:
            yield Violation("LOI035", _where(load), "the core is used by more than one load", load.population)


def _usage(network: Network, placement: Placement, chip: Chip) -> Iterator[Violation]:
    """Recomputed usage keeps every limit and is what was declared."""
    counted, delays = _count(network, placement, int(chip.figures["weight_bits"].value))
    for load, used, delay in zip(placement.cores, counted, delays, strict=True):
        for name, value in used.items():
            if name not in chip.figures:
                continue
            limit = int(chip.figures[name].value)
            if name == "compartments" and delay and "delay_slots" in chip.figures:
                limit = min(limit, int(chip.figures["delay_slots"].value) // delay)
            if value > limit:
                yield Violation("LOI036", _where(load), f"too many {name.replace('_', ' ')}", value, limit)
            if load.used.get(name) != value:
                message = f"declared {name.replace('_', ' ')} differ from a recount"
                yield Violation("LOI037", _where(load), message, load.used.get(name), value)


def _count(network: Network, placement: Placement, weight_bits: int) -> tuple[list[dict[str, int]], list[int]]:
    """For each load: resources used, and the longest delay of its input axons."""
    homes = {population.name: np.full(population.size, -1) for population in network.populations}
    used = []
    for index, load in enumerate(placement.cores):
        homes[load.population][load.neurons] = index
        used.append({"compartments": len(load.neurons), "input_axons": 0, "output_axons": 0, "synaptic_words": 0})
    longest = [0] * len(used)
    for projection in network.projections:
        matrix: Any = projection.matrix(network[projection.source].shape).tocsc()
        delay = projection.delay - 1
        for source, own in enumerate(homes[projection.source]):
            column = slice(matrix.indptr[source], matrix.indptr[source + 1])
            targets = matrix.indices[column][matrix.data[column] != 0]
            reached, synapses = np.unique(homes[projection.target][targets], return_counts=True)
            for index, count in zip(reached.tolist(), synapses.tolist(), strict=True):
                used[index]["input_axons"] += 1
                used[index]["synaptic_words"] += _words(count, used[index]["compartments"], weight_bits, delay)
                longest[index] = max(longest[index], delay)
            if own >= 0:
                used[own]["output_axons"] += len(reached)
    return used, longest


@lru_cache
def _words(synapses: int, compartments: int, weight_bits: int, delay: int) -> int:
    """64-bit words of one axon: blocks of 64 synapses with 10 header bits; listed by index, or all compartments."""
    bits = weight_bits + (6 if delay else 0)
    index = max(6, (compartments - 1).bit_length()) if compartments > 1 else 0
    return min(_blocks(synapses, bits + index), _blocks(compartments, bits))


def _blocks(synapses: int, bits: int) -> int:
    words = 0
    while synapses > 0:
        words += (min(synapses, 64) * bits + 10 + 63) // 64
        synapses -= 64
    return words


def _where(load: CoreLoad) -> str:
    return f"chip {load.chip}, core {load.core}"

"""Whether a placement holds every neuron of a network exactly once, on cores that exist."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nmdeploy.deployment import CoreLoad, Placement
from nmdeploy.network import Network
from nmdeploy.target import Chip, Violation


def coverage_faults(
    network: Network, placement: Placement, chip: Chip, prefix: str, *, inputs: bool = False
) -> list[Violation]:
    """What is not where it should be; a target's checker asks this before it counts anything.

    Args:
        network: the lowered network.
        placement: what a mapper made of it, on chips numbered from 0 without gaps.
        chip: the kind of chip, with a figure `cores`.
        prefix: of the target's codes (`LOI`). 030: a load of no population, 031: neurons missing,
            032: neurons placed twice, 033: neurons that do not exist, 034: cores that do not.
        inputs: whether inputs lie on cores of the chip too.
    """
    return [*_neurons(network, placement, prefix, inputs), *_cores(placement, chip, prefix)]


def place_of(load: CoreLoad) -> str:
    """Chip and core in words."""
    return f"chip {load.chip}, core {load.core}"


def _neurons(network: Network, placement: Placement, prefix: str, inputs: bool) -> Iterator[Violation]:
    names = {population.name for population in network.populations if inputs or not population.is_input}
    for load in placement.cores:
        if load.population not in names:
            message = "the core holds no population of the network"
            yield Violation(f"{prefix}030", place_of(load), message, load.population)
    for population in network.populations:
        loads = [load.neurons for load in placement.of(population.name)]
        held = np.concatenate(loads) if loads else np.zeros(0, dtype=np.int64)
        size = population.size if population.name in names else 0
        inside = (held >= 0) & (held < size)
        times = np.bincount(held[inside], minlength=size)
        missing, twice = np.flatnonzero(times == 0), np.flatnonzero(times > 1)
        if missing.size:
            message = f"{missing.size} neurons lie on no core"
            yield Violation(f"{prefix}031", population.name, message, f"first: {missing[0]}")
        if twice.size:
            message = f"{twice.size} neurons lie on more than one core"
            yield Violation(f"{prefix}032", population.name, message, f"first: {twice[0]}")
        if not np.all(inside):
            message = "neurons that the population does not have"
            yield Violation(f"{prefix}033", population.name, message, int(held[~inside][0]), f"0..{size - 1}")


def _cores(placement: Placement, chip: Chip, prefix: str) -> Iterator[Violation]:
    cores, chips = chip.limit("cores"), len({load.chip for load in placement.cores})
    for load in placement.cores:
        if not (0 <= load.chip < chips and 0 <= load.core < cores):
            limit = f"0..{cores - 1} on chips 0..{chips - 1}"
            yield Violation(f"{prefix}034", place_of(load), "there is no such core", load.core, limit)

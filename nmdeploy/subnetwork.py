"""Parts of a network as networks of their own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from nmdeploy.network import Network, Population


def upstream(network: Network, name: str) -> Network:
    """Population `name` with everything it depends on, as a network of its own."""
    return behind_known(network, name, ())


def behind_known(network: Network, name: str, known: Collection[str]) -> Network:
    """Population `name` with what it depends on; populations whose spikes are known become inputs."""
    needed, waiting = {name}, [name]
    while waiting:
        reached = waiting.pop()
        if reached in known and reached != name:
            continue
        sources = {projection.source for projection in network.into(reached)} - needed
        needed |= sources
        waiting += sorted(sources)
    populations = tuple(
        _as_input(each) if each.name in known else each for each in network.populations if each.name in needed
    )
    computed = {each.name for each in populations if not each.is_input}
    projections = tuple(each for each in network.projections if each.target in computed)
    return replace(network, populations=populations, projections=projections, outputs=(name,), notes=())


def _as_input(population: Population) -> Population:
    if population.is_input:
        return population
    largest = population.spike_range[1]
    return Population(population.name, population.shape, maximum=largest, schedule=population.schedule)

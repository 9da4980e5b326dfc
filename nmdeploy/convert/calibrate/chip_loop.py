"""One layer on the chip: quantized, lowered by its target, and run on the spikes that reach it there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from numpy.typing import NDArray

from nmdeploy.emulator.result import Recording, Result
from nmdeploy.network import Network, Population
from nmdeploy.target import Choice

Spikes = Mapping[str, NDArray[Any]]
"""Spikes `[T, N, *shape]` by population."""


class Engine(Protocol):
    """Runs a lowered network; `nmdeploy.emulate`, or the engine of a chip whose events have an order."""

    def __call__(self, network: Network, inputs: Spikes, *, steps: int, record: Recording) -> Result: ...


@dataclass(frozen=True)
class ChipLoop:
    """A chip's own arithmetic, applied to parts of a float network.

    Attributes:
        chip: whose arithmetic.
        quantize: brings a float network to the chip's integers.
        engine: runs what the target has lowered.
        steps: steps of a run, the latency of the whole network included.
    """

    chip: Choice
    quantize: Callable[[Network], Network]
    engine: Engine
    steps: int

    def lowered(self, network: Network) -> Network:
        """A float network in the chip's terms."""
        return self.chip.target.lower(self.quantize(network), self.chip.chip, self.chip.profile).network

    def layer(self, network: Network, name: str, known: Spikes) -> Network:
        """Population `name` in the chip's terms, fed by inputs in place of the populations whose spikes are known.

        Quantized and lowered with everything before it, so that scales and delays are
        those that it has in the whole network.
        """
        return behind_known(self.lowered(upstream(network, name)), name, known)

    def run(self, layer: Network, known: Spikes, samples: int | None = None, spikes: bool = False) -> Result:
        """Run a layer on the first `samples` of the known spikes; its counts are kept, its spikes when asked for."""
        inputs = {population.name: known[population.name][:, :samples] for population in layer.inputs}
        record = Recording(spikes=layer.outputs if spikes else (), counts=layer.outputs)
        return self.engine(layer, inputs, steps=self.steps, record=record)


def upstream(network: Network, name: str) -> Network:
    """Population `name` with everything it depends on, as a network of its own."""
    return behind_known(network, name, {})


def behind_known(network: Network, name: str, known: Spikes) -> Network:
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
    return Population(population.name, population.shape, minimum=0, maximum=population.spike_range[1])

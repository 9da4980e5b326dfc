"""Ending a sample's run as soon as its decision is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmdeploy.errors import UsageError
from nmdeploy.network import Network

CHECKED_EVERY = 8


@dataclass(frozen=True)
class Until:
    """Each sample runs until a neuron of `population` has sent `spikes` spikes.

    A sample ends after the first number of steps that is a multiple of `every` by which that
    has happened, else with the run. What is recorded of it is what a run of so many steps
    records, spikes and potentials of later steps being 0. That does not depend on other
    samples, batches, threads or the engine.

    Attributes:
        population: whose spikes decide.
        spikes: how many of one neuron, at least 1.
        every: steps between two looks, at least 1.
    """

    population: str
    spikes: int = 1
    every: int = CHECKED_EVERY

    def __post_init__(self) -> None:
        for name in ("spikes", "every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is at least 1", where="Until", found=getattr(self, name), limit=1)

    def check(self, network: Network) -> None:
        """Refuse a population that the network does not have, or that never spikes.

        Raises:
            UsageError: naming it.
        """
        names = [population.name for population in network.populations if population.spike_range[1] > 0]
        if self.population not in names:
            raise UsageError(
                "no population whose spikes could decide", where="Until", found=self.population, limit=", ".join(names)
            )

    def length(self, start: int, block: int) -> int:
        """Steps of the block that begins at `start`: it ends where the next look is due."""
        return min(block, self.every - start % self.every)

    def decided(self, steps: int, counts: NDArray[np.integer]) -> bool:
        """Whether a sample ends after `steps` steps, in which its neurons sent `counts` spikes."""
        return steps % self.every == 0 and bool(counts.max() >= self.spikes)

"""How far sums can reach: proven for every input, or as seen on samples."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from nmdeploy.convert.exact.layer import CountLayer, Counts, Reach
from nmdeploy.linear_maps import Array
from nmdeploy.network import Population

MARGIN = 1.25
"""What was seen of sums in samples is widened by this much."""


class Reaching(Protocol):
    """Goes through a network layer by layer, sources first, and tells how far the sums of each reach."""

    words: str
    """How the bounds are known, for notes."""

    def of(self, layer: CountLayer) -> Reach:
        """The reach of a layer whose sources are known."""

    def add(self, layer: CountLayer, levels: int) -> None:
        """Make a layer known to those behind it."""


@dataclass
class Proven:
    """Whatever the input and the order of its spikes: interval arithmetic through the activations, neuron by neuron."""

    words = "proven for every input"
    lowest: dict[str, Array] = field(default_factory=dict)
    highest: dict[str, Array] = field(default_factory=dict)

    @classmethod
    def from_input(cls, population: Population, steps: int) -> Proven:
        """What is known of an input: counts of 0..steps."""
        shape = (1, *population.shape)
        none, most = np.zeros(shape, dtype=np.int64), np.full(shape, steps, dtype=np.int64)
        return cls({population.name: none}, {population.name: most})

    def of(self, layer: CountLayer) -> Reach:
        low, high = layer.parts(self.highest)
        return Reach(low[0], high[0], *_of_one_step(layer, self.highest))

    def add(self, layer: CountLayer, levels: int) -> None:
        least, most = layer.parts(self.lowest), layer.parts(self.highest)
        name = layer.population.name
        self.lowest[name] = layer.activated(most[0] + least[1] + layer.bias, levels)
        self.highest[name] = layer.activated(least[0] + most[1] + layer.bias, levels)


@dataclass
class Sampled:
    """As far as the sums of any neuron of a layer went on samples, times `MARGIN`.

    Sums of one step are proven all the same: design rules ask for it.

    Attributes:
        counts: of the samples, by population.
    """

    counts: dict[str, Array]
    words = f"as seen on the samples, and {MARGIN - 1:.0%} more"

    def of(self, layer: CountLayer) -> Reach:
        inhibition, excitation = layer.parts(self.counts)
        shape = layer.population.shape
        low = np.full(shape, math.floor(MARGIN * int(inhibition.min())), dtype=np.int64)
        high = np.full(shape, math.ceil(MARGIN * int(excitation.max())), dtype=np.int64)
        return Reach(low, high, *_of_one_step(layer, self.counts))

    def add(self, layer: CountLayer, levels: int) -> None:
        self.counts[layer.population.name] = layer.activated(layer.sums(self.counts), levels)


def _of_one_step(layer: CountLayer, counts: Counts) -> tuple[Array, Array]:
    """The ends of the sum of one step, whatever spikes."""
    ones = {name: np.ones((1, *values.shape[1:]), dtype=np.int64) for name, values in counts.items()}
    low, high = layer.parts(ones)
    return low[0], high[0]

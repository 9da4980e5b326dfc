"""The first place where a run is not what the emulator says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.errors import ShapeError
from nmdeploy.network import Network, Population

Array = NDArray[Any]


@dataclass(frozen=True)
class Recorded:
    """What is known of a run from elsewhere.

    Attributes:
        spikes: by population, integers `[T, N, *shape]`.
        potentials: by population, `[T, N, *shape]`, at the end of each step, after reset.
    """

    spikes: Mapping[str, Array] = field(default_factory=dict)
    potentials: Mapping[str, Array] = field(default_factory=dict)

    def of(self, population: str) -> tuple[tuple[str, Array], ...]:
        """The variables recorded of a population, by name."""
        named = (("spikes", self.spikes), ("potential", self.potentials))
        return tuple((variable, held[population]) for variable, held in named if population in held)


@dataclass(frozen=True)
class Place:
    """Where a variable differs first.

    Attributes:
        population: its name.
        variable: `spikes` or `potential`.
        step, sample: from 0.
        neuron: index in the population.
        expected, found: the emulator's value and the recorded one.
        mismatches: values of this population that differ, all variables, steps and samples.
        compared: values of this population that were compared.
    """

    population: str
    variable: str
    step: int
    sample: int
    neuron: tuple[int, ...]
    expected: int
    found: int
    mismatches: int
    compared: int

    def __str__(self) -> str:
        return (
            f"{self.population}: {self.variable} of neuron {self.neuron} differs first at step {self.step}, "
            f"sample {self.sample}: expected {self.expected}, found {self.found} "
            f"({self.mismatches} of {self.compared} values of this population differ)"
        )


def first_difference(network: Network, expected: Recorded, found: Recorded) -> Place | None:
    """The first population that differs, sources before targets, and in it the earliest step; None if none does.

    In a network with cycles, where populations have no order, the earliest step of all.

    Args:
        network: what ran.
        expected: the emulator's run, with at least the variables of `found`.
        found: the run from elsewhere.

    Raises:
        ShapeError: naming a population whose recordings have another shape.
    """
    ordered = network.order(instant_only=False)
    places = _places(ordered or network.populations, expected, found)
    if ordered is not None:
        return next(iter(places), None)
    return min(places, key=lambda place: place.step, default=None)


def mismatches(expected: Recorded, found: Recorded, population: str) -> int:
    """How many recorded values of a population differ."""
    return sum(int(np.count_nonzero(left != right)) for _, left, right in _pairs(population, expected, found))


def _places(populations: Iterable[Population], expected: Recorded, found: Recorded) -> Iterable[Place]:
    for population in populations:
        pairs = list(_pairs(population.name, expected, found))
        differing = [(variable, left, right, np.argwhere(left != right)) for variable, left, right in pairs]
        wrong = sum(len(indices) for *_, indices in differing)
        if wrong:
            compared = sum(left.size for _, left, _ in pairs)
            variable, left, right, indices = min(
                (each for each in differing if len(each[3])), key=lambda each: int(each[3][0, 0])
            )
            step, sample, *neuron = (int(index) for index in indices[0])
            index = (step, sample, *neuron)
            values = int(left[index]), int(right[index])
            yield Place(population.name, variable, step, sample, tuple(neuron), *values, wrong, compared)


def _pairs(population: str, expected: Recorded, found: Recorded) -> Iterable[tuple[str, Array, Array]]:
    ours = dict(expected.of(population))
    for variable, theirs in found.of(population):
        if theirs.shape != ours[variable].shape:
            raise ShapeError(
                f"recorded {variable} have another shape than the run",
                where=population,
                found=theirs.shape,
                limit=ours[variable].shape,
                hint="recordings are [steps, samples, *population shape]",
            )
        yield variable, ours[variable], theirs

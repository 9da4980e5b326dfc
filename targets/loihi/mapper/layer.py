"""One population on its way to cores: what a box of it uses, and which cuts keep the limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nmdeploy.network import Network, Population
from nmdeploy.target import Chip
from targets.loihi.mapper.resources import RESOURCES, WORD_BITS, Counts, compartments_of
from targets.loihi.mapper.sharing import ListUse, SynapseLists, synapse_lists
from targets.loihi.mapper.tiling import Box, Tiling, tilings
from targets.loihi.neuron import LoihiLIF

Use = dict[str, int]
"""Resources by name."""

_FURTHER_CORES = 2
"""Cuts into so many more boxes than needed are candidates too."""


@dataclass(frozen=True)
class Option:
    """A cut that keeps every limit but, perhaps, that of output axons.

    Attributes:
        tiling: the cut.
        traffic: input axons of all its cores: core-to-core spikes if every source neuron
            fires once.
    """

    tiling: Tiling
    traffic: int

    @property
    def cost(self) -> tuple[int, int]:
        """Cores first, then traffic."""
        return self.tiling.count, self.traffic


@dataclass(frozen=True)
class Excess:
    """A limit that a box breaks."""

    resource: str
    found: int
    limit: int


class Layer:
    """A population with its synapses.

    Args:
        population: of Loihi neurons.
        chip: gives the limits.
        entering, leaving: the projections into it and out of it.
    """

    def __init__(
        self, population: Population, chip: Chip, entering: list[SynapseLists], leaving: list[SynapseLists]
    ) -> None:
        self.population, self.name = population, population.name
        self.entering, self.leaving = entering, leaving
        self.compartments = compartments_of(population, chip)
        self.delay = max((lists.delay for lists in entering), default=0)
        self.limits = {name: chip.limit(name) for name in RESOURCES if name in chip.figures}
        if self.delay and "delay_slots" in chip.figures:
            self.limits["compartments"] = min(self.limits["compartments"], chip.limit("delay_slots") // self.delay)
        self._list_words = chip.limit("list_words") if "list_words" in chip.figures else None
        self._weight_bits = chip.limit("weight_bits")

    @cached_property
    def most_neurons(self) -> int:
        """No core can hold more neurons of the population, whatever else it holds; at least 1."""
        by_compartments = self.limits["compartments"] // self.compartments
        bits = sum(lists.own_weights * self._weight_bits for lists in self.entering)
        by_words = self.limits["synaptic_words"] * WORD_BITS // bits if bits else by_compartments
        return max(1, min(by_compartments, by_words))

    @property
    def least_cores(self) -> int:
        """Cores that the population needs at least."""
        return -(-self.population.size // self.most_neurons)

    def use(self, box: Box) -> Use:
        """What a box uses, without output axons to other populations."""
        uses = [lists.use(box) for lists in self.entering]
        again = box.size if self.compartments > 1 else 0
        return {
            "compartments": box.size * self.compartments,
            "input_axons": sum(use.axons for use in uses) + again,
            "output_axons": again,
            "synaptic_words": sum(use.words for use in uses) + again,
            "synapse_formats": len(self._formats(uses)) + len(self._recurrent_exponents(box)),
            "threshold_profiles": len(self._values("vth", box)) + (self.compartments > 1),
        }

    def _formats(self, uses: list[ListUse]) -> set[tuple[str, bool, int]]:
        return {
            (form, lists.delay > 0, lists.exponent)
            for lists, use in zip(self.entering, uses, strict=True)
            for form in use.forms
        }

    def _values(self, name: str, box: Box) -> Counts:
        """The different values of a neuron parameter in a box."""
        values = np.asarray(getattr(self.population.neuron, name))
        if values.size == 1:
            return values.reshape(1)
        every = np.broadcast_to(values, self.population.shape)
        return np.unique(every[tuple(slice(*limits) for limits in box.ranges)])

    def _recurrent_exponents(self, box: Box) -> set[int]:
        """Weight exponents of the synapses by which two-compartment neurons subtract."""
        if self.compartments == 1:
            return set()
        return {max(0, int(amount).bit_length() - 8) for amount in self._values("subtrahend", box)}

    def excess(self, box: Box) -> Excess | None:
        """A limit that the box breaks by itself."""
        for name, used in self.use(box).items():
            if name in self.limits and used > self.limits[name]:
                return Excess(name, used, self.limits[name])
        longest = max((lists.use(box).longest for lists in self.entering), default=0)
        if self._list_words is not None and longest > self._list_words:
            return Excess("words of a synapse list", longest, self._list_words)
        return None

    def output_axons(self, tiling: Tiling, reached: Counts) -> int:
        """The most output axons of a core, if each neuron sends to so many cores of other populations."""
        others = np.bincount(tiling.box_of, weights=reached).astype(np.int64)
        return int((others + self.own_output_axons(tiling)).max())

    def own_output_axons(self, tiling: Tiling) -> Counts:
        """Output axons of each core to the population itself."""
        each = self._to_itself(tiling) + (self.compartments > 1)
        return np.bincount(tiling.box_of, weights=each).astype(np.int64)

    def _to_itself(self, tiling: Tiling) -> Counts:
        loops = [lists.cores_reached(tiling) for lists in self.leaving if lists.target == self.name]
        return np.sum(loops, axis=0) if loops else np.zeros(self.population.size, dtype=np.int64)

    def fits(self, tiling: Tiling, reached: Counts | None = None) -> bool:
        """Whether every box keeps all limits, output axons only where `reached` is given or it is a loop."""
        if tiling.largest * self.compartments > self.limits["compartments"]:
            return False
        # The box in the middle first: those at the borders have fewer inputs.
        boxes = list(tiling.boxes)
        middle = len(boxes) // 2
        if any(self.excess(box) for box in [*boxes[middle:], *boxes[:middle]]):
            return False
        if "output_axons" not in self.limits:
            return True
        reached = np.zeros(self.population.size, dtype=np.int64) if reached is None else reached
        return self.output_axons(tiling, reached) <= self.limits["output_axons"]

    def options(self, most: int, reached: Counts | None = None, kept: int = 12) -> list[Option]:
        """The best cuts that fit: those of the fewest cores, and some of a few more.

        Args:
            most: cores to try at most.
            reached: cores of other populations that each neuron sends to; None leaves
                output axons for later.
            kept: number of options.
        """
        found: list[Option] = []
        for count in self._counts(most, reached):
            if found and count > found[0].tiling.count + _FURTHER_CORES:
                break
            found += self.cuts(count, reached)
        return sorted(found, key=lambda option: option.cost)[:kept]

    def cuts(self, count: int, reached: Counts | None = None) -> list[Option]:
        """Every legal cut into `count` boxes; `reached` as for `options`."""
        return [
            Option(tiling, sum(self.use(box)["input_axons"] for box in tiling.boxes))
            for tiling in tilings(self.population.shape, count)
            if self.fits(tiling, reached)
        ]

    def _counts(self, most: int, reached: Counts | None) -> Iterator[int]:
        least, limit = self.least_cores, self.limits.get("output_axons")
        if reached is not None and limit is not None:
            if reached.max() > limit:
                return iter(())  # even a neuron on a core of its own has too many
            least = max(least, -(-int(reached.sum()) // limit))
        return iter(range(least, min(most, self.population.size) + 1))

    def smallest_excess(self) -> Excess | None:
        """A limit that a single neuron breaks, so that no cut can mend it."""
        fan_in = np.sum([lists.fan_in for lists in self.entering], axis=0)
        place = np.unravel_index(int(np.argmax(fan_in)), self.population.shape)
        return self.excess(Box(self.population.shape, tuple((int(i), int(i) + 1) for i in place)))


def layers(network: Network, chip: Chip) -> dict[str, Layer]:
    """The populations that take cores, targets before their sources where there are no loops."""
    joined = [synapse_lists(network, projection, chip) for projection in network.projections]
    order = network.order(instant_only=False) or network.populations
    found = {}
    for population in reversed(order):
        if isinstance(population.neuron, LoihiLIF):
            entering = [lists for lists in joined if lists.target == population.name]
            leaving = [lists for lists in joined if lists.source == population.name]
            found[population.name] = Layer(population, chip, entering, leaving)
    return found

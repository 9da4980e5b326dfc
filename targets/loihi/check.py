"""An independent re-walk of a finished placement.

Shares no code with the mapper: it unrolls every projection, writes each core's synapse
lists out and compares them byte by byte. It finds neurons that are missing or placed
twice, cores that do not exist or are overfull, and usage that was declared wrongly.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.coverage import coverage_faults, place_of
from nmdeploy.deployment import CoreLoad, Placement
from nmdeploy.network import Network, Population, Projection
from nmdeploy.target import Chip, Violation

_BLOCK_HEADER, _DELAY = 4 + 6, 6
_TWO_COMPARTMENTS = "loihi.LIFSubtract"


def recheck(network: Network, placement: Placement, chip: Chip) -> list[Violation]:
    """Everything that is wrong with `placement`; empty when it is sound.

    Args:
        network: the lowered network.
        placement: what the mapper made of it.
        chip: the kind of chip it was made for; the chips are numbered from 0 without gaps.
    """
    found = coverage_faults(network, placement, chip, "LOI")
    if found:  # what is not where it should be cannot be counted
        return found
    counted = _Recount(network, placement, chip).counts()
    return [*_declared(placement, counted, chip), *_limits(placement, counted, chip)]


@dataclass
class _Count:
    """What one load uses, found anew."""

    compartments: int
    input_axons: int = 0
    output_axons: int = 0
    synaptic_words: int = 0
    formats: set[tuple[Any, ...]] = field(default_factory=set)
    thresholds: int = 0
    delay: int = 0  # of the projections into the population, whatever reaches this core
    longest: int = 0

    def used(self) -> dict[str, int]:
        return {
            "compartments": self.compartments,
            "input_axons": self.input_axons,
            "output_axons": self.output_axons,
            "synaptic_words": self.synaptic_words,
            "synapse_formats": len(self.formats),
            "threshold_profiles": self.thresholds,
        }


class _Recount:
    def __init__(self, network: Network, placement: Placement, chip: Chip) -> None:
        self._network, self._placement = network, placement
        self._weight = int(chip.figures["weight_bits"].value)
        self._block = int(chip.figures["block_synapses"].value)
        self._pairs = "subtract_compartments" in chip.figures
        self._pair = int(chip.figures["subtract_compartments"].value) if self._pairs else 1

    def counts(self) -> list[_Count]:
        """A recount of every load, in order."""
        counts = [self._alone(load, self._network[load.population]) for load in self._placement.cores]
        homes = {p.name: np.full(p.size, -1) for p in self._network.populations}
        for index, load in enumerate(self._placement.cores):
            homes[load.population][load.neurons] = index
        for projection in self._network.projections:
            self._walk(projection, homes[projection.source], counts)
        return counts

    def _alone(self, load: CoreLoad, population: Population) -> _Count:
        """Neurons and, of pairs of compartments, the synapses between them."""
        count = _Count(len(load.neurons))
        parameters: Any = population.neuron
        count.thresholds = len(set(np.broadcast_to(parameters.vth, population.shape).ravel()[load.neurons].tolist()))
        if self._pairs and parameters.kind == _TWO_COMPARTMENTS:
            count.compartments *= self._pair
            count.input_axons = count.output_axons = count.synaptic_words = len(load.neurons)
            count.thresholds += 1
            amounts = np.broadcast_to(parameters.subtrahend, population.shape).ravel()[load.neurons]
            count.formats |= {("subtracts", self._exponent(int(amount))) for amount in set(amounts.tolist())}
        return count

    @staticmethod
    def _exponent(amount: int) -> int:
        exponent = 0
        while amount >> exponent > 255:
            exponent += 1
        return exponent

    def _walk(self, projection: Projection, homes: NDArray[Any], counts: list[_Count]) -> None:
        """Count a projection's axons and lists on every core of its target."""
        shape = self._network[projection.source].shape
        names: Any = _named(projection).matrix(shape).tocsr()
        values: Any = projection.matrix(shape).tocsr()
        delay = projection.delay - 1
        for index, load in enumerate(self._placement.cores):
            if load.population != projection.target:
                continue
            count, here = counts[index], values[load.neurons]
            synapses = np.bincount(here.indices, weights=here.data != 0, minlength=here.shape[1]).astype(int)
            axons = np.flatnonzero(synapses)
            count.input_axons += len(axons)
            for home, times in Counter(homes[axons].tolist()).items():
                if home >= 0:
                    counts[home].output_axons += times
            count.delay = max(count.delay, delay)
            if len(axons):
                self._lists(names[load.neurons].tocsc(), synapses, axons, count, (delay > 0, projection.exponent))

    def _lists(
        self, lists: Any, synapses: NDArray[Any], axons: NDArray[Any], count: _Count, kind: tuple[bool, int]
    ) -> None:
        """Write out the list of each axon; equal ones, shifted or not, are stored once."""
        lists.sort_indices()
        seen = set()
        neurons = lists.shape[0]
        index = 0 if neurons == 1 else max(6, int(neurons - 1).bit_length())
        weight = self._weight + (_DELAY if kind[0] else 0)
        for axon in axons.tolist():
            own = slice(lists.indptr[axon], lists.indptr[axon + 1])
            places = lists.indices[own] - lists.indices[own.start]
            content = (places.tobytes(), lists.data[own].tobytes())
            if content in seen:
                continue
            seen.add(content)
            sparse = self._words(int(synapses[axon]), weight + index, _BLOCK_HEADER)
            gaps = np.flatnonzero(np.diff(places) != 1) + 1
            runs = np.diff([0, *gaps.tolist(), len(places)])
            dense = sum(self._words(int(run), weight, _BLOCK_HEADER + index) for run in runs)
            count.formats.add(("dense" if dense < sparse else "sparse", *kind))
            count.synaptic_words += min(sparse, dense)
            count.longest = max(count.longest, min(sparse, dense))

    def _words(self, synapses: int, bits: int, header: int) -> int:
        words = 0
        while synapses > 0:
            words += (min(synapses, self._block) * bits + header + 63) // 64
            synapses -= self._block
        return words


def _named(projection: Projection) -> Projection:
    """The projection with a name, a random number, for every weight: synapses of one name are the same weight."""
    random = np.random.Generator(np.random.PCG64(20180))
    chain = [
        synapse if synapse.weight is None else synapse.with_weight(random.integers(1, 2**62, synapse.weight.shape))
        for synapse in projection.synapses
    ]
    return replace(projection, synapses=tuple(chain), exponent=0, accumulator=None)


def _declared(placement: Placement, counted: list[_Count], chip: Chip) -> Iterator[Violation]:
    """Usage is what was declared."""
    for load, count in zip(placement.cores, counted, strict=True):
        for name, value in count.used().items():
            if name in chip.figures and load.used.get(name) != value:
                message = f"declared {name.replace('_', ' ')} differ from a recount"
                yield Violation("LOI037", place_of(load), message, load.used.get(name), value)


def _limits(placement: Placement, counted: list[_Count], chip: Chip) -> Iterator[Violation]:
    """All that lies on a core keeps its limits together."""
    cores: Mapping[tuple[int, int], list[tuple[CoreLoad, _Count]]] = defaultdict(list)
    for load, count in zip(placement.cores, counted, strict=True):
        cores[load.chip, load.core].append((load, count))
    for held in cores.values():
        for name, value, limit in _against(held, chip):
            if value > limit:
                yield Violation("LOI036", place_of(held[0][0]), f"too many {name.replace('_', ' ')}", value, limit)


def _against(held: list[tuple[CoreLoad, _Count]], chip: Chip) -> Iterator[tuple[str, int, int]]:
    """(what, used, limit) of one core."""
    delay = max(count.delay for _, count in held)
    for name in held[0][1].used():
        if name in chip.figures:
            limit = int(chip.figures[name].value)
            if name == "compartments" and delay and "delay_slots" in chip.figures:
                limit = min(limit, int(chip.figures["delay_slots"].value) // delay)
            yield name, sum(count.used()[name] for _, count in held), limit
    if "list_words" in chip.figures:
        yield "words of a synapse list", max(count.longest for _, count in held), int(chip.figures["list_words"].value)

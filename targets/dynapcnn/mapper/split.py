"""Layers on one core or, cut by output channels, on two."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from nmdeploy.target import Chip
from targets.dynapcnn.layer import ChipLayer
from targets.dynapcnn.mapper.assign import Cost, Option
from targets.dynapcnn.memory import KERNEL, NEURON, LayerSize, Words, core_memories, cores_for, fits


@dataclass(frozen=True)
class Cores:
    """The cores of a chip and what taking one of them costs.

    Attributes:
        memories: what each core has.
        costs: of each core: 1 where neurons are computed in parallel, so that nobody knows in which
            order they fire (sinabs' hardware test leaves these cores out); then bits of memory.
        destinations: cores to which one core can send.
    """

    memories: tuple[Words, ...]
    costs: tuple[Cost, ...]
    destinations: int

    @classmethod
    def of(cls, chip: Chip) -> Cores:
        """The cores of `chip`."""
        memories = core_memories(chip)
        parallel = chip.limit("parallel_cores") if "parallel_cores" in chip.figures else 0
        weight, state = chip.limit("weight_bits"), chip.limit("state_bits")
        costs = tuple(
            (int(core < parallel), has[KERNEL] * weight + has[NEURON] * state) for core, has in enumerate(memories)
        )
        return cls(memories, costs, chip.limit("destinations"))

    def whole(self, size: LayerSize) -> list[Option]:
        """Ways to place a layer on one core."""
        return [Option(self.costs[core], (core,)) for core in cores_for(size.words, self.memories)]

    def halved(self, size: LayerSize) -> list[Option]:
        """Ways to place a layer on two cores."""
        room = [self._most_channels(size, core) for core in range(len(self.memories))]
        return [
            Option(tuple(a + b for a, b in zip(self.costs[first], self.costs[second], strict=True)), (first, second))
            for first, second in combinations(range(len(room)), 2)
            if min(room[first], room[second]) > 0 and room[first] + room[second] >= size.output_shape[0] > 1
        ]

    def channels(self, size: LayerSize, cores: Sequence[int]) -> list[int]:
        """Output channels on each of a layer's cores, as even as they can be."""
        filters = size.output_shape[0]
        if len(cores) == 1:
            return [filters]
        first, second = (self._most_channels(size, core) for core in cores)
        here = min(max(-(-filters // 2), filters - second), first)
        return [here, filters - here]

    def _most_channels(self, size: LayerSize, core: int) -> int:
        """The most output channels of a layer that fit a core, one less than all at most; 0 for none."""
        return widest(size, lambda narrow: fits(narrow.words, self.memories[core]))


def widest(size: LayerSize, accepts: Callable[[LayerSize], bool]) -> int:
    """The most output channels below a layer's own that are accepted; 0 for none."""
    return most_below(size.output_shape[0], lambda filters: accepts(size.with_channels(filters)))


def most_below(count: int, accepts: Callable[[int], bool]) -> int:
    """The largest number from 1 on, below `count`, that is accepted; 0 for none.

    Whatever accepts a number must accept any smaller one.
    """
    low, high = 0, count - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if accepts(middle) else (low, middle - 1)
    return low


def split_sets(layers: Sequence[ChipLayer], sizes: Mapping[str, LayerSize], cores: Cores) -> Iterator[frozenset[str]]:
    """The sets of layers that may lie on two cores each, the smallest first, the empty one among them.

    A source sends every event to each part of a layer, and has two destinations; the host,
    which feeds the inputs, has no such limit. There are no more parts than cores.
    """
    feeding = {layer.name: [each.population for each in layer.destinations] for layer in layers}
    names = [layer.name for layer in layers if sizes[layer.name].output_shape[0] > 1]
    for count in range(min(len(cores.memories) - len(layers), len(names)) + 1):
        for chosen in combinations(names, count):
            parts = {name: 1 + (name in chosen) for name in feeding}
            if not chosen or all(sum(parts[name] for name in fed) <= cores.destinations for fed in feeding.values()):
                yield frozenset(chosen)

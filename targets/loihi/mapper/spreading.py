"""Finer cuts, so that boxes of several populations fill cores together.

The fewest boxes of each population are not always the fewest cores of all: one layer's
boxes may be full of compartments and another's of input axons. With every layer cut into
as many boxes as there are to be cores, a core can hold a box of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from targets.loihi.mapper.layer import Layer, Option
from targets.loihi.mapper.partition import Chosen

MOST_CORES = 96
"""Larger placements are left as they are: there each layer fills its cores well by itself."""
MOST_LAYERS = 4
"""Layers whose cut is varied, the largest first."""
_FEWER = 3
"""Boxes fewer than cores, where a layer has no legal cut into just as many."""


def spread(
    layers: dict[str, Layer], chosen: Chosen, cores: int, least: int, pack: Callable[[Chosen], int | None]
) -> Chosen:
    """Cuts that pack onto fewer cores than `chosen`, or `chosen` itself.

    Args:
        layers: by name.
        chosen: a legal cut for each.
        cores: cores it packs onto.
        least: cores that no placement can go below.
        pack: cores of a choice; None where it breaks a limit.
    """
    if cores > MOST_CORES:
        return chosen
    for wanted in range(least, cores):
        found = [each for each in _finer(layers, chosen, wanted) if (pack(each) or cores) <= wanted]
        if found:
            return min(found, key=lambda each: sum(option.traffic for option in each.values()))
    return chosen


def _finer(layers: dict[str, Layer], chosen: Chosen, cores: int) -> Iterator[Chosen]:
    """Choices in which some layers are cut into about as many boxes as there are cores."""
    largest = sorted(chosen, key=lambda name: -chosen[name].tiling.count)[:MOST_LAYERS]
    ways: list[list[Option]] = []
    for name in largest:
        other = _cut_into(layers[name], cores)
        ways.append([chosen[name]] if other in (None, chosen[name]) else [chosen[name], other])
    for picked in product(*ways):
        yield {**chosen, **dict(zip(largest, picked, strict=True))}


def _cut_into(layer: Layer, cores: int) -> Option | None:
    """The cut of least traffic into `cores` boxes or a few less; None where none is legal."""
    for count in range(cores, max(0, cores - _FEWER - 1), -1):
        found = layer.cuts(count)
        if found:
            return min(found, key=lambda option: option.cost)
    return None

"""The cheapest way to give every layer its cores, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import add

Cost = tuple[int, ...]
"""Compared from the first number on; added number by number."""


@dataclass(frozen=True, order=True)
class Option:
    """One way to place a layer.

    Attributes:
        cost: what that costs.
        cores: the cores it takes, in the order of the layer's parts.
    """

    cost: Cost
    cores: tuple[int, ...]


def cheapest(layers: Sequence[Sequence[Option]]) -> list[Option] | None:
    """An option for each layer such that no two share a core, at the least total cost.

    Among placements of equal cost it is the one with the lowest core numbers, from the
    first layer on, so that the answer does not depend on any solver. Every set of cores
    that the layers so far can take is kept with its best placement: 9 cores have 512 sets.

    Args:
        layers: the options of each layer.

    Returns:
        None when there is no such placement.
    """
    best: dict[int, _Placed] = {0: ((), (), ())}
    for options in layers:
        following: dict[int, _Placed] = {}
        for option in options:
            mask = sum(1 << core for core in option.cores)
            for taken, (spent, cores, chosen) in best.items():
                if not taken & mask:
                    candidate = (_sum(spent, option.cost), (*cores, option.cores), (*chosen, option))
                    known = following.get(taken | mask)
                    if known is None or candidate[:2] < known[:2]:
                        following[taken | mask] = candidate
        best = following
    return list(min(best.values(), key=lambda placed: placed[:2])[2]) if best else None


_Placed = tuple[Cost, tuple[tuple[int, ...], ...], tuple[Option, ...]]
"""Cost, cores by layer, and options of the layers so far."""


def _sum(left: Cost, right: Cost) -> Cost:
    return tuple(map(add, left, right)) if left else right

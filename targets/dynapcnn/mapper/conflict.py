"""Why layers fit no placement: the smallest set of them that has too few cores."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations


def smallest_conflict(fitting: Sequence[Sequence[int]]) -> tuple[list[int], list[int]] | None:
    """The fewest layers that cannot all be placed, with the only cores that could hold them.

    By Hall's theorem a placement exists unless some layers have fewer cores between them
    than they are. For k = 0, 1, ... every set of k cores is tried: if more than k layers fit
    nowhere else, k + 1 of them are a smallest conflict, the first ones.

    Args:
        fitting: the cores each layer fits, by layer.

    Returns:
        Layers and cores; None when there is a placement.
    """
    every = sorted({core for cores in fitting for core in cores})
    for size in range(min(len(every), len(fitting) - 1) + 1):
        for cores in combinations(every, size):
            bound = [layer for layer, fits in enumerate(fitting) if set(fits) <= set(cores)]
            if len(bound) > size:
                return bound[: size + 1], list(cores)
    return None

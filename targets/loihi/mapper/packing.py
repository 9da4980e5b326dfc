"""Several populations' boxes on one core: bin packing in all resources at once.

Loihi's cores hold neurons of any populations. First-fit decreasing packs the boxes; where
few of them are left above the bound, an integer program (HiGHS) looks for a packing of
fewer cores, over a fixed number of nodes so that the result is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shares = NDArray[np.float64]
"""`[boxes, resources]`: what a box takes, as a share of what a core has."""

_EXACT_BOXES = 24
_NODES = 200
_ROUNDING = 1e-9


def pack(shares: Shares, alone: Sequence[bool], *, exact: bool = True) -> list[list[int]]:
    """Groups of boxes that fit one core each.

    Args:
        shares: what each box takes of a core, none above 1.
        alone: boxes that share with no other.
        exact: whether the integer program is asked.

    Returns:
        Indices of boxes by core, in the order of each core's first box.
    """
    single = [[index] for index, lonely in enumerate(alone) if lonely]
    shared = np.array([index for index, lonely in enumerate(alone) if not lonely], dtype=np.int64)
    bins = _first_fit(shares[shared]) if len(shared) else []
    bound = int(np.ceil(shares[shared].sum(axis=0).max(initial=0) - _ROUNDING))
    while exact and len(shared) <= _EXACT_BOXES and len(bins) > max(1, bound):
        fewer = _fewer(shares[shared], len(bins) - 1)
        if fewer is None:
            break
        bins = fewer
    cores = single + [[int(shared[index]) for index in group] for group in bins]
    return sorted((sorted(core) for core in cores), key=lambda core: core[0])


def _first_fit(shares: Shares) -> list[list[int]]:
    """First-fit decreasing by the largest share."""
    order = np.argsort(-shares.max(axis=1), kind="stable")
    taken = np.zeros_like(shares)
    bins: list[list[int]] = []
    for index in order:
        fits = np.all(taken[: len(bins)] + shares[index] <= 1 + _ROUNDING, axis=1)
        place = int(np.argmax(fits)) if fits.any() else len(bins)
        if place == len(bins):
            bins.append([])
        bins[place].append(int(index))
        taken[place] += shares[index]
    return bins


def _fewer(shares: Shares, cores: int) -> list[list[int]] | None:
    """A packing on so many cores; None where none is found."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    boxes, resources = shares.shape
    once = np.kron(np.eye(boxes), np.ones(cores))
    room = np.vstack([np.kron(shares[:, resource], np.eye(cores)) for resource in range(resources)])
    # Cores are alike: box i lies on one of the first i + 1.
    most = np.array([float(core <= box) for box in range(boxes) for core in range(cores)])
    solved: Any = milp(
        np.zeros(boxes * cores),
        integrality=np.ones(boxes * cores, dtype=np.int64),
        bounds=Bounds(0, most),
        constraints=[LinearConstraint(once, 1, 1), LinearConstraint(room, -np.inf, 1)],
        options={"node_limit": _NODES},
    )
    if solved.x is None:
        return None
    core_of = np.argmax(np.reshape(solved.x, (boxes, cores)), axis=1)
    groups = [[int(box) for box in np.flatnonzero(core_of == core)] for core in range(cores)]
    kept = [group for group in groups if group]
    return kept if all(np.all(shares[group].sum(axis=0) <= 1 + _ROUNDING) for group in kept) else None
